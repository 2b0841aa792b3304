import { render } from "preact";
import { App } from "./app";
import { follow } from "./lib/live";
import { dress } from "./lib/theme";
import { register } from "./lib/update";
import "./styles.css";

dress();
const root = document.getElementById("console");
if (root) render(<App />, root);
follow();
register();
