// Hands a file to the browser, to be saved where its reader wishes. Nothing goes to the network: the file is a blob of
// this page, of a type that no browser opens in place.

import type { Attachment } from "../../lib/contract.ts";
import { fileName } from "./words.ts";

export async function save(attachment: Attachment): Promise<void> {
  const bytes = await attachment.blob();
  const address = URL.createObjectURL(new Blob([bytes], { type: "application/octet-stream" }));
  const link = document.createElement("a");
  link.href = address;
  // Path marks and what file systems refuse: browsers clean too, each in its way.
  link.download = fileName(attachment.name, 120).replace(/[\\/:*?"<>|]/gu, "_").replace(/^\.+/u, "_") || "document";
  link.rel = "noopener";
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
