// The library's settings. What is written is the universal profile: v4 keys, key packets v3, SEIPDv1 with AES-256,
// SHA-256, nothing compressed; GnuPG 2.2, Thunderbird and Sequoia read nothing newer.
import type { config as Config, enums as Enums } from "openpgp/lightweight";

const MOST_CLEAR = 128 * 1024 * 1024; // a letter that swells beyond that is an attack

export function settle(config: typeof Config, enums: typeof Enums): void {
  config.aeadProtect = false;
  config.preferredSymmetricAlgorithm = enums.symmetric.aes256;
  config.preferredHashAlgorithm = enums.hash.sha256;
  config.preferredCompressionAlgorithm = enums.compression.uncompressed;
  config.maxDecompressedMessageSize = MOST_CLEAR;
  config.showVersion = false;
  config.showComment = false;
}
