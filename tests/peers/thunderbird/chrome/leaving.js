// Stands before scripts that run inside Thunderbird and tell attendees of something: does `act`, and waits until every
// letter that it made, one at least, has left. Thunderbird's calendar hands letters over and asks no more of them: what
// does not leave is said in a dialogue, or nowhere. Here it is sent again, as the person would who read that, and kept
// for who asks why. What comes twice changes nothing (RFC 5546 §2.1.5: same UID, SEQUENCE and DTSTAMP).
async function untilLeft(act, seconds) {
  const { CalItipEmailTransport } = ChromeUtils.importESModule("resource:///modules/CalItipEmailTransport.sys.mjs");
  const { MessageSend } = ChromeUtils.importESModule("resource:///modules/MessageSend.sys.mjs");
  const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
  const { setTimeout } = ChromeUtils.importESModule("resource://gre/modules/Timer.sys.mjs");
  const pause = time => new Promise(resolve => setTimeout(resolve, time));
  const kind = CalItipEmailTransport.prototype;
  const { getMsgSend, _sendXpcomMail: send } = kind;
  const letters = [];
  let handed = null; // the letter that is being handed over

  class Told extends MessageSend {
    letter = handed;
    notifyListenerOnStopSending(id, status, ...more) {
      this.letter.status = status;
      super.notifyListenerOnStopSending(id, status, ...more);
    }
    fail(code, words) {
      this.letter.said.push(`${code.toString(16)} ${words ?? ""}`);
      super.fail(Cr.NS_ERROR_ABORT, null); // without its dialogue, which would end this script
    }
  }
  kind.getMsgSend = () => new Told();
  kind._sendXpcomMail = function (...given) {
    const letter = { said: [] };
    letters.push(letter);
    letter.hand = () => {
      letter.status = null;
      letter.until = Date.now() + (seconds * 1000) / 2;
      handed = letter;
      return send.apply(this, given);
    };
    return letter.hand();
  };
  try {
    const made = await act();
    for (const end = Date.now() + seconds * 1000; letters.length === 0; await pause(100)) {
      if (Date.now() > end) {
        throw new Error("no letter was made");
      }
    }
    for (const letter of letters) {
      for (let tries = 1; letter.status !== 0; await pause(100)) {
        if (letter.status === null && Date.now() < letter.until) {
          continue;
        }
        if (letter.status === null) {
          letter.said.push("it never said whether it left");
        }
        if (tries === 3) {
          throw new Error(`the letter did not leave: ${letter.said.join("; ")}`);
        }
        await pause(2000 * tries); // what was in the way may be gone by then
        // Of a server that closes its connection before it has greeted Thunderbird never hears: it has one connection,
        // and sends nothing any more until that is given up.
        MailServices.outgoingServer.servers.forEach(server => server.closeCachedConnections());
        tries += 1;
        letter.hand();
      }
    }
    return { ...made, again: letters.flatMap(({ said }) => said) };
  } finally {
    kind.getMsgSend = getMsgSend;
    kind._sendXpcomMail = send;
  }
}
