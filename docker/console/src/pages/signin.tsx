import { useEffect, useState } from "preact/hooks";
import { ask, explain, Failure } from "../lib/api";
import { farewell, signIn } from "../lib/session";
import { typed } from "../ui/parts";

// Every key may read this, whatever its scopes.
const ANY_KEY = "/api/v1/openapi.json";

export function SignIn() {
  const [shown, setShown] = useState("");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  useEffect(() => {
    document.title = "Sign in · OllamaMax";
  }, []);
  const submit = async (event: Event) => {
    event.preventDefault();
    const secret = shown.trim();
    if (!secret) return setProblem("Enter an API key.");
    if (!/^[\x21-\x7e]+$/.test(secret))
      return setProblem("This is no API key: it has a blank or a special character in it.");
    setBusy(true);
    setProblem(null);
    try {
      await ask("GET", ANY_KEY, undefined, undefined, secret);
      await signIn(secret);
    } catch (error) {
      const limited =
        error instanceof Failure && error.retryAfter ? ` Try again in ${error.retryAfter} s.` : "";
      setProblem(explain(error) + limited);
      setBusy(false);
    }
  };
  return (
    <main class="sign-in">
      <form onSubmit={submit}>
        <p class="brand">
          <img src="./icon.svg" alt="" width="28" height="28" />
          OllamaMax
        </p>
        <h1>Sign in</h1>
        {farewell.value && <p class="note">{farewell.value}</p>}
        <label class="field">
          <span>API key</span>
          <input
            type="password"
            name="key"
            autocomplete="off"
            spellcheck={false}
            value={shown}
            aria-invalid={problem !== null}
            aria-describedby="sign-in-said"
            onInput={(event) => setShown(typed(event))}
          />
        </label>
        <p id="sign-in-said" class={problem ? "problem" : "note"} role={problem ? "alert" : undefined}>
          {problem ??
            "It is kept in this tab until you sign out or close it. What you see hangs on its scopes."}
        </p>
        <button type="submit" class="primary" disabled={busy}>
          {busy ? "Checking…" : "Sign in"}
        </button>
        <p class="note">
          The stack's own key: <code>make outputs SECRETS=1 | jq -r .apiKey</code>
        </p>
      </form>
    </main>
  );
}
