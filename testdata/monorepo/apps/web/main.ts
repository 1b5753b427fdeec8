import { headline } from "./headline.js";

const show = (text: string) => (document.querySelector("h1")!.textContent = text);
show(headline);
import.meta.hot.accept("./headline.js", (next) => show(next.headline));
