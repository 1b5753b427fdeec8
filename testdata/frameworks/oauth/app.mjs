// Sign-in with Passport at /login and with Auth.js at /api/auth, configured as
// tunnel/README.md says.
import express from "express";
import session from "express-session";
import passport from "passport";
import OAuth2Strategy from "passport-oauth2";
import { ExpressAuth } from "@auth/express";

const { PROVIDER, PORT } = process.env;
const secret = "of-this-test-of-this-test-of-this-test";
const app = express();
app.set("trust proxy", true);

app.use("/api/auth/*", ExpressAuth({
  trustHost: true,
  secret,
  providers: [{
    id: "test", name: "test", type: "oauth", issuer: PROVIDER,
    authorization: { url: PROVIDER + "/authorize", params: { scope: "name" } },
    token: { url: PROVIDER + "/token" },
    userinfo: { url: PROVIDER + "/userinfo" },
    clientId: "shop", clientSecret: secret,
    profile: (user) => ({ id: user.sub, name: user.user }),
  }],
}));

app.use(session({ secret, resave: false, saveUninitialized: false, cookie: { secure: true, sameSite: "lax" } }));
app.use(passport.initialize());
app.use(passport.session());
passport.serializeUser((user, done) => done(null, user));
passport.deserializeUser((user, done) => done(null, user));
passport.use("test", new OAuth2Strategy({
  authorizationURL: PROVIDER + "/authorize", tokenURL: PROVIDER + "/token", clientID: "shop", clientSecret: secret,
  callbackURL: process.env.DEVPROXY_CALLBACK_URL ?? "/auth/callback", state: true, pkce: true,
}, (access, refresh, profile, done) => done(null, { name: "ann" })));

app.get("/login", passport.authenticate("test"));
app.get("/auth/callback", passport.authenticate("test"), (request, response) => response.redirect("/"));
app.get("/", (request, response) => response.send(`<p id=user>${request.user?.name ?? "nobody"}</p>`));
app.listen(PORT, "127.0.0.1");
