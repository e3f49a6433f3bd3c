// The whole OpenPGP library. Loaded when first needed, in a chunk of its own (LGPL).
import {
  config,
  createMessage,
  decrypt,
  decryptKey,
  encrypt,
  encryptKey,
  enums,
  generateKey,
  PacketList,
  PublicKeyEncryptedSessionKeyPacket,
  readKey,
  readMessage,
  readPrivateKey,
  readSignature,
  reformatKey,
  verify,
  type PrivateKey,
  type PublicKey,
} from "openpgp/lightweight";
import { settle } from "./openpgp_settings.ts";

settle(config, enums);

export {
  createMessage,
  decrypt,
  decryptKey,
  encrypt,
  encryptKey,
  enums,
  generateKey,
  PacketList,
  PublicKeyEncryptedSessionKeyPacket,
  readKey,
  readMessage,
  readPrivateKey,
  readSignature,
  reformatKey,
  verify,
};
export type { PrivateKey, PublicKey };
