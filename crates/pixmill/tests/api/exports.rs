//! What shops export, handed in over HTTP and given back: equal but for the addresses.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use crate::caller::Caller;
use crate::cases::origin;
use crate::server::Server;

/// An export as text, `{o}` for where its pictures are; the file's name; how its text becomes its bytes.
struct Export(&'static str, &'static str, Bytes);

#[derive(Clone, Copy, PartialEq)]
enum Bytes {
    Utf8,
    Utf16,
    Latin,
    Gzip,
}

const EXPORTS: [Export; 12] = [
    Export(
        "Handle,Title,Body (HTML),Image Src,Image Position,Image Alt Text,Variant Image\r\n\
         red-cap,Red Cap,\"<p>5\"\" wide, <b>red</b></p>\",{o}/caps.jpg?v=1,1,Front,\r\n\
         red-cap,,,{o}/caps.jpg?v=2,2,,{o}/motocross-fade.png\r\nblue-cap,Blue Cap,,{o}/x/status/404,1,,\r\n",
        "products_export.csv",
        Bytes::Utf8,
    ),
    Export(
        "\u{feff}ID,Artikelnummer,Name,Bilder,Schlagwörter\n1,C-1,Mütze,\"{o}/caps.jpg?1, {o}/caps.jpg?2\",\"rot, grün\"\n\
         2,C-2,Kappe,,\n",
        "wc-product-export.csv",
        Bytes::Utf8,
    ),
    Export(
        "sku,name,base_image,base_image_label,additional_images,additional_image_labels\n\
         C-1,Cap,{o}/caps.jpg?b,Front,\"{o}/caps.jpg?c,{o}/x/status/404\",\"Side,Back\"\n",
        "catalog_product.csv",
        Bytes::Utf8,
    ),
    Export(
        "Product ID;Active (0/1);Name *;Image URLs (x,y,z...)\n1;1;Cap;{o}/caps.jpg?1,{o}/caps.jpg?2\n",
        "products_import.csv",
        Bytes::Utf8,
    ),
    Export(
        "TemplateType=fptcustom\tVersion=2023.1\tBitte nicht ändern\t\r\n\
         Verkäufer-SKU\tProduktname\tURL Hauptbild\tAndere Bild-URL\r\n\
         item_sku\titem_name\tmain_image_url\tother_image_url1\r\nC-1\tMütze, groß\t{o}/caps.jpg?m\t{o}/caps.jpg?o\r\n",
        "flat.file.txt",
        Bytes::Latin,
    ),
    Export(
        "\u{feff}id\ttitle\tlink\timage_link\tadditional_image_link\n\
         1\tCap\thttps://shop.example/cap\t{o}/caps.jpg?1\t{o}/caps.jpg?2,{o}/caps.jpg?3\n",
        "feed.tsv",
        Bytes::Utf16,
    ),
    Export(
        "Name,Notes,Attachments\nCap,\"a, b\",\"front.jpg ({o}/caps.jpg?f),back.jpg ({o}/x/status/404)\"\n",
        "Grid view.csv",
        Bytes::Utf8,
    ),
    Export(
        "sku,images\nC-1,\"[{\"\"src\"\":\"\"{j}\\/caps.jpg?j\"\",\"\"alt\"\":\"\"Cap\"\"}]\"\n",
        "json.csv",
        Bytes::Utf8,
    ),
    Export(
        "Product ID [Non Editable],Title,Hosted Image URLs\np1,Cap,{o}/caps.jpg?1 {o}/caps.jpg?2\n",
        "products_squarespace.csv",
        Bytes::Utf8,
    ),
    Export(
        "Code|Name|Gallery\nC-1|Cap|<img src='{o}/caps.jpg?a=1&amp;b=2'><img src='{o}/caps.jpg?a=2'>\n",
        "html.csv",
        Bytes::Utf8,
    ),
    Export("Title,Photo 1,Photo 2\nCap,{o}/caps.jpg?1,{o}/caps.jpg?2\n", "packed.csv.gz", Bytes::Gzip),
    Export("{o}/caps.jpg?1\n\n{o}/motocross-fade.png\n", "addresses.txt", Bytes::Utf8),
];

fn written(text: &str, bytes: Bytes) -> Vec<u8> {
    match bytes {
        Bytes::Utf8 => text.as_bytes().to_vec(),
        Bytes::Utf16 => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        Bytes::Latin => text.chars().map(|sign| u8::try_from(u32::from(sign)).expect("in Latin-1")).collect(),
        Bytes::Gzip => {
            let mut packed = GzEncoder::new(Vec::new(), Compression::default());
            packed.write_all(text.as_bytes()).and_then(|()| packed.finish()).expect("memory does not fail")
        }
    }
}

#[test]
fn exports_of_many_shops_come_back_equal_but_for_the_addresses_that_completed() {
    let (origin, server) = (origin(), Server::new());
    let caller = Caller::start(&server, &[]);
    let base = origin.url("");
    let put = |text: &str| text.replace("{o}", &base).replace("{j}", &base.replace('/', "\\/"));
    let texts: Vec<String> = EXPORTS.iter().map(|export| put(export.0)).collect();
    let upload = |(Export(_, name, bytes), text): (&Export, &String)| {
        let (before, after) = (
            format!("--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n"),
            "\r\n--edge--\r\n",
        );
        let body = [before.as_bytes(), &written(text, *bytes), after.as_bytes()].concat();
        let answer =
            caller.post("/v1/requests", &[("content-type", "multipart/form-data; boundary=edge")], body);
        assert_eq!(answer.status, 202, "{name}: {answer:?}");
        answer.id()
    };
    let ids: Vec<String> = EXPORTS.iter().zip(&texts).map(upload).collect();
    for ((Export(_, name, bytes), text), id) in EXPORTS.iter().zip(&texts).zip(&ids) {
        let request = caller.wait_for(id);
        let images = caller.get(&format!("/v1/requests/{id}/images?limit=100"), &[]).json();
        let mut outputs: Vec<(String, String)> = Vec::new();
        for image in images["data"].as_array().expect("a list") {
            if let (Some(input), Some(output)) = (image["inputUrl"].as_str(), image["outputUrl"].as_str()) {
                outputs.push((input.to_owned(), output.to_owned()));
            }
        }
        assert!(!outputs.is_empty(), "{name}: {request}");
        outputs.sort_by_key(|(input, _)| std::cmp::Reverse(input.len()));
        let forms: [fn(&str) -> String; 3] =
            [|plain| plain.replace('/', "\\/"), |plain| plain.replace('&', "&amp;"), str::to_owned];
        let mut want = text.clone();
        for (input, output) in &outputs {
            for form in forms {
                want = want.replace(&form(input), &form(output));
            }
        }
        let again = caller.get(&format!("/v1/requests/{id}/catalogue"), &[]);
        assert!(again.header("content-disposition").contains(name), "{again:?}");
        let same = match bytes {
            Bytes::Gzip => {
                let mut unpacked = String::new();
                GzDecoder::new(again.bytes.as_slice()).read_to_string(&mut unpacked).expect("gzip");
                unpacked == want
            }
            _ => again.bytes == written(&want, *bytes),
        };
        assert!(same, "{name}:\n{}\nwant\n{want}", again.text);
        let places = want.matches("processed_images").count();
        assert_eq!(places as u64, request["completedImages"].as_u64().expect("a number"), "{name}: {want}");
    }
}
