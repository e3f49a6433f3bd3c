// How the agenda was looked at: coming back from an appointment finds it as it was left.
import { dayKey } from "./times.ts";

class View {
  mode: "list" | "month" = $state("list");
  day = $state(dayKey(Date.now())); // of the month that is shown
  before = $state(0); // months of the past that the list shows
  after = $state(3); // months to come
}

export const view = new View();
