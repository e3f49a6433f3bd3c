// Runs in a page: opens letters, sound ones and damaged ones, with the library whose functions are counted ("measured").
// What is opened was written by another copy of it ("whole"), by the server and by the page (tests/webmail/vectors).
async function play(letters) {
  const from64 = (s) => Uint8Array.from(atob(s), (c) => c.charCodeAt(0));
  const whole = await import("/whole/openpgp.mjs"), measured = await import("/measured/openpgp.mjs");
  const setUp = (lib) => { lib.config.aeadProtect = false; lib.config.preferredSymmetricAlgorithm = lib.enums.symmetric.aes256; lib.config.preferredHashAlgorithm = lib.enums.hash.sha256; lib.config.preferredCompressionAlgorithm = lib.enums.compression.uncompressed; lib.config.maxDecompressedMessageSize = 1 << 27; lib.config.showVersion = false; lib.config.showComment = false; };
  setUp(whole); setUp(measured);
  const made = { whole: [], said: [] };
  const userIDs = [{ name: "Claire", email: "claire@example.test" }];
  const kinds = [{ type: "ecc", curve: "ed25519Legacy" }, { type: "rsa", rsaBits: 3072 }];
  const open = async (message, key, authors) => {
    const lib = measured;
    const read = await lib.readMessage({ binaryMessage: message });
    let session = null;
    for (const packet of read.packets) if (packet instanceof lib.PublicKeyEncryptedSessionKeyPacket) for (const one of key.getKeys()) {
      if (packet.version !== 3 || (packet.publicKeyID.toHex() !== one.getKeyID().toHex() && packet.publicKeyID.toHex() !== "0000000000000000")) continue;
      try { await packet.decrypt(one.keyPacket) } catch { continue }
      session = { data: packet.sessionKey, algorithm: packet.sessionKeyAlgorithm };
    }
    const { data, signatures } = await lib.decrypt({ message: read, sessionKeys: [{ data: session.data, algorithm: lib.enums.read(lib.enums.symmetric, session.algorithm) }], verificationKeys: authors, format: "binary" });
    const said = [];
    for (const { keyID, verified } of signatures) { const by = authors.some((a) => a.getKeys(keyID).length > 0); said.push([by, await verified.catch((e) => String(e))]) }
    made.said.push([data.length, JSON.stringify(said)]);
  };
  const own = async (binaryKey) => { const key = await measured.readPrivateKey({ binaryKey }); const hex = key.getFingerprint(); key.toPublic(); return key };
  const cert = async (text) => (await (text.startsWith("-----BEGIN") ? measured.readKey({ armoredKey: text }) : measured.readKey({ binaryKey: from64(text) }))).toPublic();
  const holder = await own(from64(letters.secret));
  const gateway = await cert(letters.gateway);
  await open(from64(letters.server.message), holder, [gateway]);
  await open(from64(letters.server.message), holder, []);
  await open(from64(letters.server.summary), holder, []);
  await open(from64(letters.page.summary), holder, []);
  const to = await whole.readKey({ binaryKey: from64(letters.certificate) });
  for (const kind of kinds) {
    const author = await whole.generateKey({ ...kind, userIDs, format: "object" });
    for (const size of [200, 300000]) {
    const sealed = await whole.encrypt({ message: await whole.createMessage({ binary: new Uint8Array(size).fill(65), format: "binary" }), encryptionKeys: [to.toPublic(), author.publicKey], signingKeys: [author.privateKey], sessionKey: { data: crypto.getRandomValues(new Uint8Array(32)), algorithm: "aes256" }, format: "binary" });
    await open(sealed, holder, [await cert(author.publicKey.armor())]);
    await open(sealed, await own(author.privateKey.write()), [await cert(author.publicKey.armor())]);
    }
    if (kind.type === "ecc") {
    for (const compression of ["zip", "zlib"]) {
      const config = { preferredCompressionAlgorithm: whole.enums.compression[compression] };
      const keys = [author.publicKey];
      // The library compresses when every reader asks for it.
      const text = await whole.createMessage({ binary: new Uint8Array(20000).fill(65), format: "binary" });
      const packed = (await text.sign([author.privateKey], [], null, [], new Date(), [], [], [], whole.config)).compress(whole.enums.compression[compression], whole.config);
      const sealed = (await packed.encrypt([to.toPublic(), author.publicKey], [], { data: crypto.getRandomValues(new Uint8Array(32)), algorithm: "aes256" }, false, [], new Date(), [], whole.config)).write();
      await open(sealed, holder, [await cert(author.publicKey.armor())]);
    }
    const good = await whole.encrypt({ message: await whole.createMessage({ binary: new Uint8Array(5000).fill(65), format: "binary" }), encryptionKeys: [to.toPublic()], signingKeys: [author.privateKey], sessionKey: { data: crypto.getRandomValues(new Uint8Array(32)), algorithm: "aes256" }, format: "binary" });
    const damaged = [new Uint8Array(), new Uint8Array(5000), good.slice(0, 2000), good.slice(0, 60), good.slice(200)];
    for (let at = 0; at < good.length; at += at < 400 ? 7 : 401) { const one = good.slice(); one[at] ^= 1; damaged.push(one); }
    { const one = good.slice(); one[one.length - 30] ^= 1; damaged.push(one); }
    for (const one of damaged) try { await open(one, holder, [await cert(author.publicKey.armor())]) } catch (e) { made.refused = (made.refused ?? 0) + 1 }
    for (const text of ["-----BEGIN", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n-----END PGP PUBLIC KEY BLOCK-----", "AAAA", letters.certificate.slice(0, 200)]) try { await cert(text) } catch { made.unread = (made.unread ?? 0) + 1 }
    const message = await measured.createMessage({ binary: new Uint8Array(100), format: "binary" });
    const sig = await whole.sign({ message: await whole.createMessage({ binary: new Uint8Array(100), format: "binary" }), signingKeys: [author.privateKey], detached: true });
    const v = await measured.verify({ message, signature: await measured.readSignature({ armoredSignature: sig }), verificationKeys: [await cert(author.publicKey.armor())], format: "binary" });
    for (const { verified } of v.signatures) made.said.push(await verified.catch(String)); }
  }
  return made;
}
