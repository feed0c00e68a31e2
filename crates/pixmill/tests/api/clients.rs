//! Clients from npm, as applications use them.

use std::collections::BTreeSet;

use pixmill_testkit::services::node::Node;
use pixmill_testkit::sink::{Reply, Sink};
use serde_json::Value;

use crate::caller::Caller;
use crate::cases::{catalogue, origin};
use crate::seeded;
use crate::server::{Process, Server};

/// Watches through a connection that is cut in the middle of an image's event, twice.
const WATCH: &str = "
    import net from 'node:net';
    import { EventSource } from 'eventsource';
    const [server, path] = process.argv.slice(1);
    const { hostname, port } = new URL(server);
    const resumed = [], images = [];
    let cuts = 0;
    const between = net.createServer((near) => {
      const far = net.connect(port, hostname);
      const end = () => { near.destroy(); far.destroy(); };
      for (const side of [near, far]) side.on('error', end).on('close', end);
      near.on('data', (data) => {
        const last = /last-event-id: ([^\\r]+)/i.exec(data);
        if (last) resumed.push(last[1]);
        far.write(data);
      });
      far.on('data', (data) => {
        const image = data.lastIndexOf('event: image');
        if (cuts === 2 || image < 0) return near.write(data);
        cuts += 1;
        near.write(data.subarray(0, image + 30), end);
      });
    });
    await new Promise((listens) => between.listen(0, '127.0.0.1', listens));
    const source = new EventSource(`http://127.0.0.1:${between.address().port}${path}`);
    source.addEventListener('progress', () => console.log('watching'));
    source.addEventListener('image', (event) => images.push(JSON.parse(event.data).id));
    source.addEventListener('completed', (event) => {
      source.close();
      console.log('over ' + JSON.stringify({ resumed, images, request: JSON.parse(event.data) }));
    });";

#[tokio::test(flavor = "multi_thread")]
async fn an_event_source_that_is_cut_off_misses_nothing() {
    let (origin, server) = (origin(), Server::new());
    let caller = Caller::start(&server, &["--role", "api"]);
    let (catalogue, expected) = seeded::catalogue(&origin.url(""), 12);
    let id = caller.post_csv("/v1/requests", &catalogue).id();
    let watching = Node::start(WATCH, &[&caller.url, &format!("/v1/requests/{id}/events")], &[]);
    watching.line("watching").await;
    let _worker = Process::start(&mut server.command(&["--role", "worker"]));
    let over: Value = serde_json::from_str(&watching.line("over ").await).expect("JSON");
    assert_eq!((over["resumed"].as_array().map(Vec::len), &over["request"]["id"]), (Some(2), &id.into()));
    let told: Vec<_> = over["images"].as_array().expect("a list").iter().map(Value::as_str).collect();
    assert_eq!(told.len(), expected.iter().map(Vec::len).sum::<usize>(), "nothing twice, nothing missed");
    assert_eq!(told.iter().collect::<BTreeSet<_>>().len(), told.len());
}

/// Does what a client of today's Node stacks does, with every name that they have for a thing.
const UPLOAD: &str = "
    import FormData from 'form-data';
    import fs from 'node:fs';
    const [server, file, hook] = process.argv.slice(1);
    const get = async (path) => {
      const answer = await fetch(server + path);
      if (answer.status !== 200) throw new Error(`${path}: ${answer.status}`);
      return answer;
    };
    const upload = (path, field, webhook) => new Promise((told, failed) => {
      const form = new FormData();
      form.append(webhook, hook + webhook);
      form.append(field, fs.createReadStream(file));
      form.submit(server + path, async (error, answer) => {
        if (error) return failed(error);
        let text = '';
        for await (const piece of answer) text += piece;
        told({ status: answer.statusCode, ...JSON.parse(text), http: answer.statusCode });
      });
    });
    const names = [['file', 'webhookUrl'], ['csv', 'webhook_url'], ['csvFile', 'webhook'], ['csv_file', 'callback_url']];
    for (const path of ['/upload', '/api/upload']) {
      for (const [field, webhook] of names) {
        const { http, _id, requestId, processedProducts, catalogue } = await upload(path, field, webhook);
        let request;
        do {
          await new Promise((later) => setTimeout(later, 50));
          request = await (await get(`/api/status/${_id}`)).json();
        } while (request.status !== 'completed');
        const same = await (await get(`/status/${_id}`)).json();
        const files = [];
        for (const at of ['/api/csv', '/api/download', '/download']) files.push(await (await get(`${at}/${_id}`)).text());
        console.log(JSON.stringify({
          http, id: _id === requestId && same._id === _id, processedProducts, catalogue,
          images: `${request.processedImages} of ${request.totalImages}`, rows: request.processedProducts,
          files: files.map((file) => file.trim().split('\\n').length), equal: new Set(files).size === 1,
        }));
      }
    }";

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_a_node_stack_uploads_watches_and_downloads() {
    let (origin, server) = (origin(), Server::new());
    let sink = Sink::start(|_| Reply::from(200)).expect("a sink");
    let caller = Caller::start(&server, &[]);
    let file = server.data().join("shop.csv");
    std::fs::write(&file, catalogue(&origin)).expect("the catalogue can be written");
    let arguments = [&caller.url, file.to_str().expect("a path"), &sink.url("/")];
    let said = Node::run(UPLOAD, &arguments, &[]).await;
    let told = serde_json::json!({
        "http": 200, "id": true, "processedProducts": 2, "catalogue": "shop.csv", "images": "3 of 3", "rows": 2,
        "files": [3, 3, 3], "equal": true,
    });
    let uploads: Vec<Value> =
        said.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{said}"))).collect();
    assert_eq!(uploads, vec![told; 8]);
    let heard = sink.wait_for(8, std::time::Duration::from_secs(60));
    let mut hooks: Vec<_> = heard.iter().map(|heard| heard.path.as_str()).collect();
    hooks.sort_unstable();
    hooks.dedup();
    assert_eq!(hooks, ["/callback_url", "/webhook", "/webhookUrl", "/webhook_url"]);
}
