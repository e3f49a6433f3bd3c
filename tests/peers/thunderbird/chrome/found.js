// Runs inside Thunderbird: open its "add an account", give a name and an address, and see what it finds by itself.
async function found({ ca, name, address, seconds }) {
  const { setTimeout } = ChromeUtils.importESModule("resource://gre/modules/Timer.sys.mjs");
  const deadline = Date.now() + seconds * 1000;
  async function until(what, condition) {
    for (;;) {
      let seen, failure;
      try {
        seen = await condition();
      } catch (error) {
        failure = error; // what is looked at may not be there yet
      }
      if (seen) {
        return seen;
      }
      if (Date.now() > deadline) {
        throw new Error(`waited in vain for ${what}: ${failure ?? ""}`);
      }
      await new Promise(resolve => setTimeout(resolve, 100));
    }
  }

  const certificates = Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB);
  certificates.addCertFromBase64(ca, "CT,C,C");

  const window = await until("its window", () => {
    const open = Services.wm.getMostRecentWindow("mail:3pane");
    return open?.openAccountHub && open.document.readyState === "complete" ? open : null;
  });
  await window.openAccountHub("MAIL");
  const hub = () => window.document.querySelector("account-hub-container").shadowRoot;
  const step = id => {
    const shown = hub().querySelector(`#${id}`);
    return shown && !shown.hidden ? shown : null;
  };
  const asked = shown =>
    [...shown.querySelectorAll("input:not([type=checkbox], [type=radio])")]
      .filter(input => input.checkVisibility())
      .map(input => input.id);
  const type = (shown, id, text) => {
    const input = shown.querySelector(`#${id}`);
    input.value = text;
    input.dispatchEvent(new window.Event("input", { bubbles: true }));
  };

  const first = await until("the first step", () => {
    const shown = step("emailAutoConfigSubview");
    return shown?.querySelector("#realName") ? shown : null;
  });
  const fields = { first: asked(first) };
  type(first, "realName", name);
  type(first, "email", address);
  const forward = await until("its button", () =>
    hub().querySelector("account-hub-email account-hub-footer #forward")
  );
  await until("the button to go on", () => !forward.disabled);
  forward.click();
  await until("what it finds", () => step("emailIncomingConfigSubview") || step("emailConfigFoundSubview"));
  if (step("emailIncomingConfigSubview")) {
    throw new Error("it found nothing, and asks for servers");
  }
  const settings = step("emailConfigFoundSubview");
  await until("the button to go on", () => !forward.disabled);
  fields.found = asked(settings);
  // Words of the page, each line once.
  const words = [...new Set(settings.innerText.split("\n").map(line => line.trim()).filter(Boolean))];
  return { version: Services.appinfo.version, fields, words };
}
