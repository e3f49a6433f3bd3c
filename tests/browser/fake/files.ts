// A report and a picture, small and true, for the screens that open attachments.

/** A PDF of two pages with real text: "Analyse de sang" and "Page deux". */
export function report(): Blob {
  const pages = ["Analyse de sang", "Page deux : cholesterol 1,9 g/l"];
  const objects = ["<< /Type /Catalog /Pages 2 0 R /Lang (fr) >>", `<< /Type /Pages /Count ${pages.length} /Kids [${pages.map((_, i) => `${4 + 2 * i} 0 R`).join(" ")}] >>`, "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"];
  for (const [i, words] of pages.entries()) {
    const drawn = `BT /F1 24 Tf 60 760 Td (${words}) Tj ET`;
    objects.push(`<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R >> >> /Contents ${5 + 2 * i} 0 R >>`);
    objects.push(`<< /Length ${drawn.length} >>\nstream\n${drawn}\nendstream`);
  }
  let text = "%PDF-1.4\n";
  const places = objects.map((body, i) => {
    const place = text.length;
    text += `${i + 1} 0 obj\n${body}\nendobj\n`;
    return place;
  });
  const table = text.length;
  text += `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${places.map((place) => `${String(place).padStart(10, "0")} 00000 n \n`).join("")}`;
  text += `trailer\n<< /Size ${objects.length + 1} /Root 1 0 R >>\nstartxref\n${table}\n%%EOF\n`;
  return new Blob([text], { type: "application/pdf" });
}

/** An 8 by 8 grey PNG. */
export function picture(): Blob {
  const base64 = "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAARUlEQVR42mNgEFAwcAhIKGDgkdGx8YnJqWGQ0LDwiMio6GBQMXEJSSlpmcIAVtAwYQEDWEHPnDUMYAUzVuxgACtYsuUIAM+mGIGz/EmPAAAAAElFTkSuQmCC";
  return new Blob([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))], { type: "image/png" });
}
