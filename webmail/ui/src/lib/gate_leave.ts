// Leave to send what another operator will be able to read: asked of the person before the page, whatever they were doing
// (a letter, an answer to an appointment, a document). Invariant: where nobody asks, or nobody says yes, there is none.
type Ask = (addresses: readonly string[]) => Promise<boolean>;

let asker: Ask = () => Promise.resolve(false);

/** Who asks, said once. */
export function askBy(ask: Ask): void {
  asker = ask;
}

export const leaveFor: Ask = (addresses) => asker(addresses);
