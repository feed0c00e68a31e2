//! The stand-in for Cloudinary is taken for the real one by the vendor's own library.

use pixmill_testkit::services::node::Node;
use pixmill_testkit::storage::cloudinary::{Asset, Cloudinary};
use pixmill_testkit::storage::picture;
use pixmill_testkit::storage::standin::{Running, Trouble};

/// Runs lines of JavaScript over the configured library, and gives back what they told.
async fn run(service: &Running<Cloudinary>, lines: &str) -> String {
    let module = format!(
        "import assert from 'node:assert/strict';
        import {{ v2 as cloudinary }} from 'cloudinary';
        const picture = Buffer.from(process.env.PICTURE, 'hex');
        const put = (bytes, options) => new Promise((resolve, reject) => cloudinary.uploader
          .upload_stream({{ disable_promises: true, ...options }}, (e, r) => (e ? reject(e) : resolve(r))).end(bytes));
        const refused = async (promise, code, sentence) => {{
          const error = await promise.then(() => assert.fail('taken'), (error) => error.error ?? error);
          if (code) assert.equal(error.http_code, code, JSON.stringify(error));
          assert.match(error.message ?? '', sentence);
        }};
        {lines}"
    );
    let hexadecimal: String = picture("a", 100).iter().map(|byte| format!("{byte:02x}")).collect();
    let environment = [("CLOUDINARY_URL", service.address()), ("PICTURE", hexadecimal)];
    let environment = environment.each_ref().map(|(name, value)| (*name, value.as_str()));
    Node::run(&module, &[], &environment).await
}

fn only_asset(service: &Running<Cloudinary>) -> (String, Asset) {
    let assets = service.service().assets();
    assert_eq!(assets.len(), 1, "{:?}", assets.keys());
    assets.into_iter().next().unwrap()
}

#[tokio::test]
async fn uploads_of_the_vendors_library_are_taken_and_delivered() {
    let service = Cloudinary::start().unwrap();
    let lines = "
        for (const signature_algorithm of ['sha1', 'sha256']) {
          const told = await put(picture, { folder: 'processed_images', public_id: 'a b', tags: ['x', 'y&z'],
            context: { alt: 'q&r=s' }, overwrite: true, signature_algorithm });
          assert.equal(told.public_id, 'processed_images/a b');
          assert.deepEqual([told.format, told.bytes, told.resource_type, told.type], ['png', picture.length, 'image', 'upload']);
          assert.ok(cloudinary.utils.verify_api_response_signature(told.public_id, told.version, told.signature));
          const got = await fetch(told.secure_url);
          assert.equal(got.headers.get('content-type'), 'image/png');
          assert.deepEqual(Buffer.from(await got.arrayBuffer()), picture);
          const built = cloudinary.url(told.public_id, { format: 'png', version: told.version, secure: false });
          assert.equal(new URL(built).pathname, new URL(told.url).pathname);
        }";
    run(&service, lines).await;
    let (public_id, asset) = only_asset(&service);
    assert_eq!((public_id.as_str(), asset.uploads), ("processed_images/a b", 2));
    assert_eq!(asset.bytes, picture("a", 100));
}

#[tokio::test]
async fn what_is_stored_stays_where_overwriting_is_not_wanted_and_goes_when_destroyed() {
    let service = Cloudinary::start().unwrap();
    let lines = "
        await put(picture, { public_id: 'o' });
        const kept = await put(Buffer.concat([picture, Buffer.from('x')]), { public_id: 'o', overwrite: false });
        assert.equal(kept.existing, true);
        assert.equal(kept.bytes, picture.length);
        assert.equal((await cloudinary.uploader.destroy('o', { invalidate: true })).result, 'ok');
        assert.equal((await cloudinary.uploader.destroy('o')).result, 'not found');
        assert.equal((await fetch(kept.secure_url)).status, 404);
        assert.equal((await cloudinary.api.ping()).status, 'ok');";
    run(&service, lines).await;
    assert!(service.service().assets().is_empty());
}

#[tokio::test]
async fn large_files_may_come_in_chunks() {
    let service = Cloudinary::start().unwrap();
    let lines = "
        const large = (larger, options) => new Promise((resolve, reject) => cloudinary.uploader
          .upload_chunked_stream({ disable_promises: true, resource_type: 'image', ...options },
            (error, told) => (error ? reject(error) : resolve(told)))
          .end(Buffer.concat([picture, Buffer.alloc(larger)])));
        const told = await large(13_000_000, { public_id: 'large', chunk_size: 6_000_000 });
        assert.equal(told.bytes, picture.length + 13_000_000);
        await refused(large(3_000_000, { chunk_size: 1_000_000 }), 400, /too small/);";
    run(&service, lines).await;
    assert_eq!(only_asset(&service).0, "large");
}

#[tokio::test]
async fn refusals_are_those_of_the_real_one() {
    let service = Cloudinary::start_for(10_000).unwrap();
    let lines = "
        await refused(put(picture, { api_secret: 'wrong', public_id: 'z' }), 401,
          /^Invalid Signature [0-9a-f]{40}\\. String to sign - 'public_id=z&timestamp=\\d+'\\.$/);
        await refused(put(picture, { api_key: 'nobody' }), 401, /^Unknown API key nobody$/);
        await refused(put(picture, { cloud_name: 'other' }), 401, /^Invalid cloud_name other$/);
        await refused(put(picture, { timestamp: 1400000000 }), 400, /^Stale request - reported time is .* more than 1 hour ago$/);
        await refused(put(Buffer.from('not an image')), 400, /^Invalid image file$/);
        await refused(put(Buffer.concat([picture, Buffer.alloc(10_000)])), 400, /^File size too large\\./);
        await refused(put(picture, { public_id: 'a?b' }), 400, /is invalid$/);";
    run(&service, lines).await;
    assert!(service.service().assets().is_empty());
}

#[tokio::test]
async fn its_faults_reach_the_vendors_library() {
    let service = Cloudinary::start().unwrap();
    for status in [420, 429, 500] {
        service.misbehave(move |_| Some(Trouble::Refused(status, vec![("retry-after", "2".to_owned())])));
        run(&service, &format!("await refused(put(picture, {{ public_id: 'a' }}), {status}, /./);")).await;
    }
    service.misbehave(|_| Some(Trouble::CutBefore));
    run(&service, "await refused(put(picture, { public_id: 'a' }), undefined, /hang up|reset/);").await;
    assert!(service.service().assets().is_empty(), "refusals store nothing");
    service.misbehave(|_| Some(Trouble::CutAfter));
    run(&service, "await refused(put(picture, { public_id: 'a' }), undefined, /hang up|reset/);").await;
    service.misbehave(|_| Some(Trouble::Silent));
    run(&service, "await refused(put(picture, { public_id: 'a', timeout: 300 }), 499, /Timeout/);").await;
    assert_eq!(only_asset(&service).1.uploads, 2, "it was stored before the connection was cut");
}
