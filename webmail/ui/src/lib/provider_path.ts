// Where a browser is sent to an identity provider: an ordinary link, which leaves the page.

export const providerPath = (provider: string, { shared = false, stepUp = false }): string =>
  `/api/login/oidc/${encodeURIComponent(provider)}/start?shared=${shared ? 1 : 0}&stepUp=${stepUp ? 1 : 0}`;
