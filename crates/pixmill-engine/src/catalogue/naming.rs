//! What a column's name says that it holds, in whatever language and spelling.

use super::words::{
    ABOUT_STEMS, ABOUT_WORDS, ADDRESS_WORDS, FILM_WORDS, LEADING_WORDS, NAME_WORDS, PAGE_WORDS,
    PICTURE_STEMS, PICTURE_SUFFIXES, PICTURE_WORDS, SIZE_WORDS, SWITCH_WORDS, WEAK_WORDS,
};

/// No column's name is longer, in characters; what is, is prose.
const LONGEST_NAME: usize = 100;

/// What a name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Pictures.
    Picture,
    /// Perhaps pictures: the cells decide.
    Weak,
    /// Something about a picture: its text, its place, its size.
    About,
    /// An address of something.
    Address,
    /// A page, a video, a document.
    Page,
    /// An address of something that has another name.
    Link,
    /// Nothing, for it is empty.
    Nameless,
    /// Anything else.
    Other,
}

/// What a column's name says.
pub(super) fn meaning(name: &str) -> Meaning {
    let name = name.trim();
    if name.is_empty() {
        return Meaning::Nameless;
    }
    if name.chars().nth(LONGEST_NAME).is_some() || name.contains("://") {
        return Meaning::Other;
    }
    let words = words(name);
    if words.is_empty() {
        return Meaning::Other;
    }
    let joined = words.concat();
    let lower = name.to_lowercase();
    let is_about = |word: &String| ABOUT_WORDS.contains(&word.as_str());
    let picture = words.iter().rposition(|word| says_picture(word));
    let somewhere =
        picture.is_some() || says_picture(&joined) || PICTURE_STEMS.iter().any(|stem| lower.contains(stem));
    if somewhere {
        let after = &words[picture.map_or(words.len(), |at| at + 1)..];
        let about = after.iter().any(is_about)
            || words.iter().any(|word| SWITCH_WORDS.contains(&word.as_str()))
            || words.first().is_some_and(|word| LEADING_WORDS.contains(&word.as_str()))
            || ABOUT_STEMS.iter().any(|stem| joined.contains(stem) || lower.contains(stem));
        return match () {
            () if about => Meaning::About,
            () if after.iter().any(|word| FILM_WORDS.contains(&word.as_str())) => Meaning::Page,
            () => Meaning::Picture,
        };
    }
    let page = words.iter().any(|word| PAGE_WORDS.contains(&word.as_str()));
    if let Some(weak) = words.iter().position(|word| WEAK_WORDS.contains(&word.as_str())) {
        return match words[weak + 1..].iter().any(is_about) {
            true => Meaning::About,
            false if page => Meaning::Page,
            false => Meaning::Weak,
        };
    }
    let address = words.iter().any(|word| ADDRESS_WORDS.contains(&word.as_str()));
    match (address, page) {
        (true, false)
            if words.iter().all(|word| {
                ADDRESS_WORDS.contains(&word.as_str())
                    || SIZE_WORDS.contains(&word.as_str())
                    || is_number(word)
            }) =>
        {
            Meaning::Address
        }
        (true, false) => Meaning::Link,
        (_, true) => Meaning::Page,
        _ => Meaning::Other,
    }
}

/// How sure it is that a column holds products' names: the lesser the surer.
pub(super) fn name_rank(name: &str) -> Option<usize> {
    let plain = plain(name);
    NAME_WORDS.iter().position(|word| *word == plain)
}

/// A name without case, white space and marks.
pub(super) fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn says_picture(word: &str) -> bool {
    PICTURE_WORDS.contains(&word)
        || PICTURE_STEMS.iter().any(|stem| word.contains(stem))
        || PICTURE_SUFFIXES.iter().any(|suffix| word.ends_with(suffix))
}

fn is_number(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_digit())
}

/// The words of a name in lower case: parted at marks, at digits, and where capitals begin.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut last: Option<char> = None;
    for c in name.chars() {
        if c.is_alphanumeric() || is_combining(c) {
            let fresh = match last {
                Some(before) if before.is_alphanumeric() || is_combining(before) => {
                    before.is_numeric() != c.is_numeric() || (before.is_lowercase() && c.is_uppercase())
                }
                _ => true,
            };
            if fresh {
                words.push(String::new());
            }
            if let Some(word) = words.last_mut() {
                word.extend(c.to_lowercase());
            }
        }
        last = Some(c);
    }
    words
}

/// Marks that belong to the letter before them, in scripts that write vowels so.
fn is_combining(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{900}'..='\u{dff}' | '\u{e31}' | '\u{e34}'..='\u{e4e}' | '\u{64b}'..='\u{65f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn all(meant: Meaning, names: &[&str]) {
        for name in names {
            assert_eq!(meaning(name), meant, "{name}");
        }
    }

    #[test]
    fn pictures_are_named_in_many_languages_and_spellings() {
        all(
            Meaning::Picture,
            &[
                "Input Image Urls",
                "input_image_url",
                "InputImageUrl",
                "images",
                "Image Src",
                "image",
                "IMAGE1",
                "Image 3",
                "img",
                "imgurl",
                "g:image_link",
                "images/0",
                "images[0].src",
                "productImageUrl",
                "main_image_url",
                "Variant Image",
                "Image URL (Import)",
                "Gallery Image URLs (comma separated)",
                "Picture1",
                "picUrl",
                "Photos",
                "Item photo URL",
                "thumbnail",
                "small_image",
                "media_gallery",
                "swatch_image_url",
                "aw_image_url",
                "Bild",
                "Bilder",
                "Produktbild 2",
                "Bild-URL",
                "Imágenes",
                "imagen_principal",
                "Imagem",
                "Immagini",
                "Afbeelding",
                "Afbeeldingen",
                "Zdjęcie",
                "zdjęcia",
                "Obrázek",
                "Obrázky",
                "Изображение",
                "Изображения",
                "Фото",
                "Картинки",
                "Зображення",
                "תמונות",
                "תמונה",
                "画像",
                "商品画像URL",
                "图片",
                "主图",
                "이미지",
                "Φωτογραφία",
                "Εικόνες",
                "Görsel",
                "Resim 1",
                "الصورة",
                "صور",
                "Kép",
                "Kuvat",
                "Billeder",
                "Bilde",
                "Imagini",
                "Slika",
                "Gambar",
                "Hình ảnh",
                "รูปภาพ",
                "چند تصویر",
                "चित्र",
                "Title Image",
                "picture",
                "image_1-en_US-ecommerce",
                "Images",
                "Product Image",
                "additional_image_link",
                "Photo 1 URL",
                "ImageURL2",
                "PictureURL",
                "Lisäkuvat",
                "Detailbild 2",
                "IMGURL_ALTERNATIVE",
                "Imagen alternativa",
                "gallery/0/formats/thumbnail/url",
                "Video preview image",
            ],
        );
    }

    #[test]
    fn what_is_about_a_picture_is_none() {
        all(
            Meaning::About,
            &[
                "Image Alt Text",
                "image_id",
                "Image Position",
                "image_label",
                "Image Sort Order",
                "imageCount",
                "image alt",
                "Photo Caption",
                "Image Title",
                "Image Description",
                "image width",
                "Image is Thumbnail",
                "small_image_label",
                "thumbnail_label",
                "Image 1 Alt",
                "Texto alternativo de la imagen",
                "media_id",
                "Delete existing images (0 = No, 1 = Yes)",
                "Vorhandene Bilder löschen",
                "Bild-Alternativtexte",
                "Textes alternatifs des images",
                "Number of images",
                "imageGallery#hotspots",
            ],
        );
    }

    #[test]
    fn addresses_pages_and_all_else_are_told_apart() {
        all(Meaning::Address, &["url", "URLs", "link", "Input Urls", "href", "Links", "url_o", "Large URL"]);
        all(
            Meaning::Page,
            &[
                "aw_deep_link",
                "merchant_deep_link",
                "Video URL",
                "website",
                "canonical url",
                "product_media_gallery_video_url_1",
            ],
        );
        all(Meaning::Link, &["product_url", "Product Link", "URL externa", "Drive link"]);
        all(Meaning::Weak, &["media", "Attachments", "cover.media.url", "Files & media", "logo"]);
        all(Meaning::Other, &["Product Name", "SKU", "curl", "Price", "topic", "Bildung", "1", "#", "Tags"]);
        all(Meaning::Nameless, &["", "  "]);
        assert_eq!(meaning(&format!("image {}", "x".repeat(200))), Meaning::Other);
    }

    #[test]
    fn names_of_products_are_ranked() {
        assert!(name_rank("Product Name") < name_rank("Title"));
        assert!(name_rank("TITLE").is_some() && name_rank("שם").is_some());
        assert_eq!(name_rank("Price"), None);
    }
}
