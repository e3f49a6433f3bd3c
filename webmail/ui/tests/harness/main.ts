// The modules that need a real browser, within reach of the tests in tests/webmail/test_vectors_browser.py.
import { base64, fromBase64 } from "../../src/lib/bytes.ts";
import { ask } from "../../src/lib/link.ts";
import { startWorker } from "../../src/lib/workers.ts";

Object.assign(globalThis, {
  ask,
  startWorker,
  base64,
  fromBase64,
  html: () => import("../../src/lib/html.ts"),
  pdf: () => import("../../src/lib/pdf.ts"),
});
document.title = "ready";
