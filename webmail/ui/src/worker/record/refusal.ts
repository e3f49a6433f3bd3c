// Why an archive or a document is not taken: the same codes and slugs as `mail_server/payloads/record/refusal.py`.
export const WRONG_VERSION = 900;
export const INS_MISMATCH = 904;
export const OTHER = 906;

export class RecordRefused extends Error {
  readonly code: number;
  readonly slug: string;

  constructor(slug: string, code: number = OTHER) {
    super(slug);
    this.code = code;
    this.slug = slug;
  }
}
