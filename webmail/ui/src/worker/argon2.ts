// Argon2id alone: what a dynamic import of the whole package would fetch is ten times that.
export { argon2id } from "hash-wasm";
