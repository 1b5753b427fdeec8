import { createHotContext as __vite__createHotContext } from "/@vite/client";import.meta.hot = __vite__createHotContext("/src/urls.js");import { hot } from "/src/hot.js"

// The app knows only its local address.
const api = 'https://shop.localhost/api', sockets = `wss://shop.localhost/${hot}`
if (import.meta.hot) import.meta.hot.accept("/src/hot.js", (m) => show(api + m.hot))

//# sourceMappingURL=data:application/json;base64,eyJ2ZXJzaW9uIjozLCJzb3VyY2VzIjpbInVybHMuanMiXSwibWFwcGluZ3MiOiIiLCJzb3VyY2VzQ29udGVudCI6WyJodHRwczovL3Nob3AubG9jYWxob3N0L2FwaSJdfQ==
