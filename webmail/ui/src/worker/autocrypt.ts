// The field by which a correspondent's mail program learns the author's certificate (Autocrypt Level 1 §2.1).
//
// A patient's key is published under the random letters of their space, but their letters show their 15 digits, and a
// program takes no certificate that does not name who writes. Only who holds the secret can certify a name: it is done
// here, for the letter alone; what is published stays as it is.
import { base64, type Bytes } from "../lib/bytes.ts";
import { reformatKey, type PrivateKey } from "./openpgp.ts";

const LINE = 76;

/** "" where the key bears the address already: the operator has told of it. */
export async function autocrypt(key: PrivateKey, address: string): Promise<string> {
  if (key.users.some(({ userID }) => userID?.email.toLowerCase() === address.toLowerCase())) return "";
  const end = await key.getExpirationTime();
  const lasts = end instanceof Date ? Math.round((end.getTime() - key.getCreationTime().getTime()) / 1000) : 0;
  const named = await reformatKey({ privateKey: key, userIDs: [{ email: address }], keyExpirationTime: lasts, format: "object" });
  const data = base64(named.publicKey.write() as Bytes);
  const lines = data.match(new RegExp(`.{1,${String(LINE)}}`, "g")) ?? [];
  return `Autocrypt: addr=${address}; prefer-encrypt=mutual; keydata=${lines.map((one) => `\r\n ${one}`).join("")}\r\n`;
}
