// Runs inside Thunderbird: keep the directory's password, as its own question does when "remember" is ticked.
async function remember({ url, password }) {
  const place = Services.io.newURI(url);
  const login = Cc["@mozilla.org/login-manager/loginInfo;1"].createInstance(Ci.nsILoginInfo);
  login.init(place.prePath, null, place.spec, "", password, "", "");
  await Services.logins.addLoginAsync(login);
  return {};
}
