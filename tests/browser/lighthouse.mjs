// Lighthouse's accessibility score of several addresses in a browser that runs already:
// node lighthouse.mjs PORT URL... prints one JSON line for each: {"url", "score", "faults": [...]}.
import lighthouse from "lighthouse";

const [port, ...addresses] = process.argv.slice(2);
for (const url of addresses) {
  const options = { port: Number(port), output: "json", logLevel: "silent", onlyCategories: ["accessibility"], disableStorageReset: true };
  const { lhr } = await lighthouse(url, options);
  const faults = Object.values(lhr.audits).filter((audit) => audit.score !== null && audit.score < 1);
  const score = lhr.runtimeError ? 0 : lhr.categories.accessibility.score;
  console.log(JSON.stringify({ url, score, faults: faults.map((audit) => `${audit.id}: ${audit.title}`), error: lhr.runtimeError?.message ?? "" }));
}
