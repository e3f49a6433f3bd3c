// A file of the record as the viewers of the letters know theirs.
import type { Attachment } from "../../lib/contract.ts";
import type { RecordFile } from "../../lib/record_contract.ts";

export const attached = (file: RecordFile): Attachment => ({ name: file.name, type: file.type, size: file.size, inline: false, contentId: "", blob: () => file.blob() });
