// Runs inside Thunderbird: press Send, wait until the letter has left. `again`: it was pressed before, and the letter may
// have left since.
async function leave({ seconds, again }) {
  const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
  const { setTimeout } = ChromeUtils.importESModule("resource://gre/modules/Timer.sys.mjs");
  const deadline = Date.now() + seconds * 1000;
  if (!again && !Services.wm.getMostRecentWindow("msgcompose")) {
    throw new Error("no letter is open");
  }
  // When it cannot send, Thunderbird says so in a dialogue and keeps the window. While it looks at who is written to, Send
  // does nothing. Of a server that closes its connection before it has greeted it never hears: it has one connection, and
  // sends nothing any more until that is given up.
  for (let pressed = 0, stuck = Date.now() + (seconds * 1000) / 2; ; ) {
    const window = Services.wm.getMostRecentWindow("msgcompose");
    if (!window || window.closed) {
      return;
    }
    if (Date.now() - pressed > 5000 && !window.gSendOperationInProgress && !window.gWindowLocked) {
      pressed = Date.now();
      window.goDoCommand("cmd_sendNow");
    }
    if (window.gSendOperationInProgress && Date.now() > stuck) {
      stuck = Infinity;
      MailServices.outgoingServer.servers.forEach(server => server.closeCachedConnections());
    }
    if (Date.now() > deadline) {
      const { gSendOperationInProgress: sending, gWindowLocked: locked, gSendLocked: unready } = window;
      throw new Error(`the letter did not leave: ${JSON.stringify({ sending, locked, unready })}`);
    }
    await new Promise(resolve => setTimeout(resolve, 100));
  }
}
