// The OpenPGP library as this page uses it: one place for its settings. Loaded when first needed, in a chunk of its
// own (LGPL). What is written is the universal profile: v4 keys, key packets v3, SEIPDv1 with AES-256, SHA-256,
// nothing compressed; GnuPG 2.2, Thunderbird and Sequoia read nothing newer.
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
  verify,
  type PrivateKey,
  type PublicKey,
} from "openpgp/lightweight";

const MOST_CLEAR = 128 * 1024 * 1024; // a letter that swells beyond that is an attack

config.aeadProtect = false;
config.preferredSymmetricAlgorithm = enums.symmetric.aes256;
config.preferredHashAlgorithm = enums.hash.sha256;
config.preferredCompressionAlgorithm = enums.compression.uncompressed;
config.maxDecompressedMessageSize = MOST_CLEAR;
config.showVersion = false;
config.showComment = false;

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
  verify,
};
export type { PrivateKey, PublicKey };
