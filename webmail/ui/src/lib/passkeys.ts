// Passkeys (WebAuthn level 3): options and answers between JSON and the browser's own shapes, and the PRF extension,
// whose output opens the letters. What the extension gives goes to the worker, never into what the server is sent.
import { base64url, fromBase64url, utf8, type Bytes } from "./bytes.ts";
import { Refused } from "./contract.ts";

type Json = Record<string, unknown>;

interface Named {
  id: string;
  type: string;
  transports?: string[];
}

/** What /start answers: a challenge's id, and options as WebAuthn spells them in JSON. */
export interface Started {
  id: string;
  options: Json & { challenge: string; rpId?: string; rp?: { id?: string }; user?: { id: string }; excludeCredentials?: Named[]; allowCredentials?: Named[] };
}

export interface Signed {
  credential: Json; // for the server
  credentialId: string;
  prf: ArrayBuffer | null; // for the worker
}

async function extensions(): Promise<AuthenticationExtensionsClientInputs> {
  const first = await crypto.subtle.digest("SHA-256", utf8("vaguemestre/passkey/v1"));
  return { prf: { eval: { first } } } as AuthenticationExtensionsClientInputs;
}

const named = (list: Named[] | undefined): PublicKeyCredentialDescriptor[] =>
  (list ?? []).map((one) => ({ ...one, id: fromBase64url(one.id) }) as PublicKeyCredentialDescriptor);

/** Asks the browser; a person who declines or waits too long is no error of ours. */
async function asked(work: () => Promise<Credential | null>): Promise<PublicKeyCredential> {
  if (!("credentials" in navigator) || !("PublicKeyCredential" in globalThis)) throw new Refused("passkey-impossible");
  try {
    const made = await work();
    if (made !== null) return made as PublicKeyCredential;
  } catch (failure) {
    const name = failure instanceof DOMException ? failure.name : "";
    if (name !== "NotAllowedError" && name !== "AbortError") throw new Refused("passkey-impossible");
  }
  throw new Refused("passkey-cancelled");
}

export async function create({ options }: Started): Promise<Signed> {
  const publicKey = {
    ...options,
    challenge: fromBase64url(options.challenge),
    user: { ...options.user, id: fromBase64url(options.user!.id) },
    excludeCredentials: named(options.excludeCredentials),
    extensions: { ...(options["extensions"] as object | undefined), ...(await extensions()) },
  } as unknown as PublicKeyCredentialCreationOptions;
  const made = await asked(() => navigator.credentials.create({ publicKey }));
  const response = made.response as AuthenticatorAttestationResponse;
  const id = base64url(new Uint8Array(made.rawId));
  const credential = {
    ...common(made),
    response: {
      clientDataJSON: coded(response.clientDataJSON),
      attestationObject: coded(response.attestationObject),
      transports: response.getTransports?.() ?? [],
    },
  };
  // Some authenticators give nothing at creation and all at the first use: one use, for ourselves, tells.
  const prf = prfOf(made) ?? (await use([{ id, type: "public-key" }], options.rp?.id).then(prfOf, () => null));
  return { credential, credentialId: id, prf };
}

export async function get({ options }: Started): Promise<Signed> {
  const publicKey = {
    ...options,
    challenge: fromBase64url(options.challenge),
    allowCredentials: named(options.allowCredentials),
    extensions: { ...(options["extensions"] as object | undefined), ...(await extensions()) },
  } as unknown as PublicKeyCredentialRequestOptions;
  const made = await asked(() => navigator.credentials.get({ publicKey }));
  const response = made.response as AuthenticatorAssertionResponse;
  const credential = {
    ...common(made),
    response: {
      clientDataJSON: coded(response.clientDataJSON),
      authenticatorData: coded(response.authenticatorData),
      signature: coded(response.signature),
      userHandle: response.userHandle === null ? null : coded(response.userHandle),
    },
  };
  return { credential, credentialId: base64url(new Uint8Array(made.rawId)), prf: prfOf(made) };
}

/** The PRF output alone, without the server: for who is logged in and only has to open. */
export async function opens(ids: string[], rpId: string | undefined): Promise<{ credentialId: string; prf: ArrayBuffer | null }> {
  const made = await use(ids.map((id) => ({ id, type: "public-key" })), rpId);
  return { credentialId: base64url(new Uint8Array(made.rawId)), prf: prfOf(made) };
}

async function use(allowed: Named[], rpId: string | undefined): Promise<PublicKeyCredential> {
  const publicKey: PublicKeyCredentialRequestOptions = {
    challenge: crypto.getRandomValues(new Uint8Array(32)),
    allowCredentials: named(allowed),
    userVerification: "required",
    extensions: await extensions(),
    ...(rpId === undefined ? {} : { rpId }),
  };
  return asked(() => navigator.credentials.get({ publicKey }));
}

const coded = (buffer: ArrayBuffer): string => base64url(new Uint8Array(buffer));

/** Extension results are left out on purpose: the PRF's would hand the server the key to the letters. */
const common = (made: PublicKeyCredential): Json => ({
  id: made.id,
  rawId: coded(made.rawId),
  type: made.type,
  authenticatorAttachment: made.authenticatorAttachment,
  clientExtensionResults: {},
});

function prfOf(made: PublicKeyCredential): ArrayBuffer | null {
  const results = made.getClientExtensionResults() as { prf?: { results?: { first?: ArrayBuffer | Bytes } } };
  const first = results.prf?.results?.first;
  if (first === undefined) return null;
  return first instanceof ArrayBuffer ? first : first.slice().buffer;
}
