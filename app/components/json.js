// Asking /api for JSON; nothing where neither app nor engine answers.

async function ask({ base, key }, path, body) {
  try {
    const reply = await fetch(`${base}/api/${path}`, {
      method: "POST", body: JSON.stringify(body),
      headers: { "content-type": "application/json", "x-showerscope-key": key },
    });
    return reply.ok ? await reply.json() : undefined;
  } catch { return undefined; }
}
