// Who may, who reads, who writes: identity providers, fresh proofs, app passwords, readers, exchanges, blocks. Comes
// with the first screen that asks; between the screens, the server's REST side and the worker.
import { account, loginOf, renewed, type WireSession } from "./account.ts";
import { api } from "./api.ts";
import { Refused, type AppPassword, type Blocked, type Ciba, type Exchange, type KeyPeriod, type Listing, type ReadAccount, type RightsWork } from "./contract.ts";
import { ask } from "./link.ts";
import { accountId } from "./mail_boxes.ts";
import type { Started } from "./passkeys.ts";

const part = encodeURIComponent;
const SLICE = 50; // letters given at once

interface Past {
  total: number;
  left: number;
  certificate: string;
}

interface PastLetters {
  letters: { id: number; keyPackets: string; summaryKeyPackets: string | null }[];
  left: number;
}

async function givePast(of: string, person: string, progress: (done: number, total: number) => void): Promise<number> {
  const path = `past/${part(of)}/${part(person)}`;
  const { total, left, certificate } = await api<Past>("POST", path, {});
  let remaining = left;
  progress(total - remaining, total);
  for (let after = 0; remaining > 0; ) {
    const { letters } = await api<PastLetters>("GET", `${path}/letters?after=${after}&limit=${SLICE}`);
    if (letters.length === 0) break; // what is left cannot be opened here
    after = Math.max(...letters.map((one) => one.id));
    const made = await ask("rewrap", { letters, certificate });
    if (made.length > 0) remaining = (await api<PastLetters>("POST", `${path}/letters`, { letters: made })).left;
    progress(total - remaining, total);
  }
  return remaining;
}

export const rights: RightsWork = {
  startCiba: (provider, user) => api<Ciba>("POST", `login/ciba/${part(provider)}/start`, { user }),
  async pollCiba(provider, id, shared) {
    const { pending, interval } = await api<{ pending?: boolean; interval?: number }>("POST", `login/ciba/${part(provider)}`, { id, shared });
    if (pending) return interval ?? 5;
    await account.resume(); // with what this device kept, if it kept anything
    return null;
  },

  async prove(proof) {
    if ("passkey" in proof) {
      const started = await api<Started>("POST", "step-up/passkey/start", {});
      const { credential } = await (await import("./passkeys.ts")).get(started);
      await renewed(await api<WireSession>("POST", "step-up/passkey", { id: started.id, credential }));
      return;
    }
    const login = await loginOf(proof.password);
    if (login === null) throw new Refused("login-refused");
    await renewed(await api<WireSession>("POST", "step-up", { login, ...(proof.totp ? { totp: proof.totp } : {}) }));
  },
  async proved() {
    const session = await renewed(await api<WireSession>("GET", "session"));
    return (session.freshUntil ?? 0) > Date.now();
  },

  appPasswords: () => api<{ passwords: AppPassword[]; allowed: boolean }>("GET", "app-passwords"),
  makeAppPassword: ({ label, protocols, days, network }) => api("POST", "app-passwords", { label, protocols, days, ...(network ? { network } : {}) }),
  revokeAppPassword: (id) => api("DELETE", `app-passwords/${part(id)}`),

  readers: async () => (await api<{ accounts: ReadAccount[] }>("GET", "readers")).accounts,
  addReader: async (of, address, given) => void (await api("PUT", `readers/${part(of)}/${part(address)}`, given)),
  endReader: async (of, person) => void (await api("DELETE", `readers/${part(of)}/${part(person)}`)),
  seenPerPerson: async (of, perPerson) => void (await api("PUT", `readers/${part(of)}/seen`, { perPerson })),
  givePast,

  exchanges: async (email) => (await api<{ conversations: Exchange[] }>("GET", `conversations?account=${part(accountId())}&email=${part(email)}`)).conversations,
  closeExchange: async (email) => (await api<{ conversations: Exchange[] }>("POST", "conversations/close", { account: accountId(), email })).conversations,
  blocks: async () => (await api<{ blocks: Blocked[] }>("GET", "blocks")).blocks,
  block: async (address) => void (await api("POST", "blocks", { address })),
  unblock: async (address) => void (await api("DELETE", `blocks/${part(address)}`)),
  contact: (of) => api("GET", of ? `contact?account=${part(of)}` : "contact"),
  setContact: async (contact, of) => void (await api("PUT", of ? `contact?account=${part(of)}` : "contact", { contact })),
  practiceCopy: (of) => api("GET", of ? `practice-copy?account=${part(of)}` : "practice-copy"),
  setPracticeCopy: async (on, of) => void (await api("PUT", of ? `practice-copy?account=${part(of)}` : "practice-copy", { on })),

  leaving: (of) => api("GET", of ? `outbound?account=${part(of)}` : "outbound"),
  setLeaving: (wanted, of) => api("PUT", of ? `outbound?account=${part(of)}` : "outbound", wanted),
  listings: async () => (await api<{ listings: Listing[] }>("GET", "listing")).listings,
  describe: (account, told) => api("PUT", `listing?account=${part(account)}`, told),
  keyPeriods: async () => (await api<{ periods: KeyPeriod[] }>("GET", "listing/keys")).periods,
  noticeAddress: () => api("GET", "notice-address"),
  setNoticeAddress: (address, language) => api("PUT", "notice-address", { address, language }),
  confirmNoticeAddress: (code) => api("POST", "notice-address/confirm", { code }),
  forgetNoticeAddress: () => api("DELETE", "notice-address"),

  historyPath: (format, since, until, language) => `/api/access-log.${format}?since=${since}&until=${until}&lang=${language}`,
};
