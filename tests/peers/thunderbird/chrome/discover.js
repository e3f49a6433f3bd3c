// Runs inside Thunderbird: looks for somebody's key online as it does when they are written to, and says what it keeps.
async function discover({ email }) {
  const { BondOpenPGP } = ChromeUtils.importESModule("chrome://openpgp/content/BondOpenPGP.sys.mjs");
  const module = name => ChromeUtils.importESModule(`chrome://openpgp/content/modules/${name}.sys.mjs`);
  await BondOpenPGP.init();
  const { KeyLookupHelper } = module("keyLookupHelper");
  const { CollectedKeysDB } = module("CollectedKeysDB");
  const window = Services.wm.getMostRecentWindow("mail:3pane");
  await KeyLookupHelper.fullOnlineDiscovery("silent-collection", window, email, null);
  const collected = await (await CollectedKeysDB.getInstance()).findKeysForEmail(email);
  return collected.map(key => ({
    fingerprint: key.fingerprint,
    emails: key.emails,
    sources: key.sources.map(one => ({ type: one.type, uri: one.uri })),
  }));
}
