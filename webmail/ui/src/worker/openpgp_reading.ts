// The library again, with only what opening letters calls. Through reading.ts, never by itself.
import { config, enums } from "openpgp/reading";
import { settle } from "./openpgp_settings.ts";

settle(config, enums);

export {
  createMessage,
  decrypt,
  enums,
  missed,
  missing,
  PublicKeyEncryptedSessionKeyPacket,
  readKey,
  readMessage,
  readPrivateKey,
  readSignature,
  verify,
} from "openpgp/reading";
