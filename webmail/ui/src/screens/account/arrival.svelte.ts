// How this visitor came in, for the next screen to say the right thing. In memory only.

class Arrival {
  /** By a passkey that lets in and opens nothing: the unlocking screen explains it. */
  byPasskey = $state(false);
  /** Just logged out: the login screen says so, once. */
  loggedOut = $state(false);
}

export const arrival = new Arrival();
