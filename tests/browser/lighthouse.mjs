// Lighthouse's accessibility score of several addresses in a browser that runs already:
// node lighthouse.mjs PORT URL... prints one JSON line for each: {"url", "score", "faults": [...]}.
import lighthouse from "lighthouse";

const [port, ...addresses] = process.argv.slice(2);
for (const url of addresses) {
  // Nothing is clocked here: a busy machine has the time it needs to draw the page.
  const patience = { throttlingMethod: "provided", maxWaitForFcp: 240_000, maxWaitForLoad: 300_000 };
  const options = { port: Number(port), output: "json", logLevel: "silent", onlyCategories: ["accessibility"], disableStorageReset: true, ...patience };
  const { lhr } = await lighthouse(url, options);
  const faults = Object.values(lhr.audits).filter((audit) => audit.score !== null && audit.score < 1);
  const score = lhr.runtimeError ? 0 : lhr.categories.accessibility.score;
  console.log(JSON.stringify({ url, score, faults: faults.map((audit) => `${audit.id}: ${audit.title}`), error: lhr.runtimeError?.message ?? "" }));
}
