// Runs inside Thunderbird: take the settings it found, give the password, and see the account and its inbox.
async function added({ password, seconds }) {
  const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
  const { setTimeout } = ChromeUtils.importESModule("resource://gre/modules/Timer.sys.mjs");
  const deadline = Date.now() + seconds * 1000;
  async function until(what, condition) {
    for (;;) {
      const seen = await condition();
      if (seen) {
        return seen;
      }
      if (Date.now() > deadline) {
        throw new Error(`waited in vain for ${what}`);
      }
      await new Promise(resolve => setTimeout(resolve, 100));
    }
  }

  const window = Services.wm.getMostRecentWindow("mail:3pane");
  const hub = () => window.document.querySelector("account-hub-container").shadowRoot;
  const step = id => {
    const shown = hub().querySelector(`#${id}`);
    return shown && !shown.hidden ? shown : null;
  };
  const forward = hub().querySelector("account-hub-email account-hub-footer #forward");
  forward.click();
  const last = await until("the step of the password", () => {
    const shown = step("emailPasswordSubview");
    return shown?.querySelector("#password") ? shown : null;
  });
  const fields = [...last.querySelectorAll("input:not([type=checkbox], [type=radio])")]
    .filter(input => input.checkVisibility())
    .map(input => input.id);
  const input = last.querySelector("#password");
  input.value = password;
  input.dispatchEvent(new window.Event("input", { bubbles: true }));
  await until("the button to go on", () => !forward.disabled);
  forward.click();
  await until("the account", () => {
    const problem = last.querySelector(".notification-title")?.textContent;
    const there = step("emailSyncAccountsSubview") || step("emailAddedSuccessSubview");
    if (!there && last.querySelector("[type=error]")) {
      throw new Error(`it could not be added: ${problem}`);
    }
    return there;
  });

  const server = MailServices.accounts.allServers.find(one => one.type === "imap");
  const identity = MailServices.accounts.allIdentities[0];
  const outgoing = MailServices.outgoingServer.getServerByKey(identity.smtpServerKey);
  outgoing.QueryInterface(Ci.nsISmtpServer);
  const inbox = await until("its inbox", () => {
    const folder = server.rootFolder.getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox);
    return folder ?? null;
  });
  return {
    asked: fields,
    incoming: {
      host: server.hostname,
      port: server.port,
      security: server.socketType,
      login: server.authMethod,
      user: server.username,
    },
    outgoing: {
      host: outgoing.hostname,
      port: outgoing.port,
      security: outgoing.socketType,
      login: outgoing.authMethod,
      user: outgoing.username,
    },
    identity: { name: identity.fullName, address: identity.email },
    inbox: inbox.URI,
  };
}
