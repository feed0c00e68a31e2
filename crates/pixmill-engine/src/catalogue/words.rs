//! The words that shops, feeds and spreadsheets name columns with, in the languages they export. Lower case; tables
//! alone, their meaning is in `naming`.

/// Whole words that say picture by themselves.
pub(super) const PICTURE_WORDS: &[&str] = &[
    "img", "imgs", "pic", "pics", "pix", "foto", "fotos", "fotky", "thumb", "thumbs", "swatch", "swatches", "bild",
    "bilder", "kép", "képek", "kep", "kepek", "kuva", "kuvat", "kuvan", "ảnh", "anh", "hình", "poza", "poze", "pozy",
    "mynd", "myndir", "gallery", "galleries", "galerie", "galeria", "galería", "galleria", "galerij", "galeri",
    "packshot", "packshots", "snapshot", "screenshot", "screenshots", "packshoturl", "slika", "slike", "slikica",
    "rasm", "rasmlar", "picha", "irudi", "irudia", "irudiak", "delwedd", "delweddau", "beeld", "beelden", "imej",
    "resmi", "resim", "resimler", "resimleri", "pilt", "pildi", "pildid", "attēls", "attēli", "vaizdas", "vaizdai",
    "zdj", "fotka", "fotografia", "obrazy", "obraz", "obrázok", "ítem_imagen",
];

/// Beginnings and middles of words that say picture wherever they stand in a name.
pub(super) const PICTURE_STEMS: &[&str] = &[
    // English, French, German, the Romance languages
    "image", "photo", "pictur", "thumbnail", "imagen", "imágen", "imagem", "immagin", "imatge", "imaxe", "imagin",
    "vignette", "abbild", "produktbild", "artikelbild", "hauptbild", "galeriebild", "zusatzbild", "bildurl", "bildlink",
    "bilddatei", "bildpfad", "bildadresse", "bild_", "fotograf", "fotoğraf", "imageurl", "imgurl", "imgsrc", "imglink",
    "picurl", "piclink", "picsurl", "fotourl", "fotolink", "mainimg", "productimg", "itempic", "mainpic",
    // the North
    "afbeelding", "plaatje", "bilde", "billede", "bildlänk", "produktfoto", "kuvatiedosto", "tuotekuva", "pääkuva",
    "kuvaosoite", "kuvalinkki", "ljósmynd", "nuotrauk", "paveiksl", "attēl", "fotoattēl",
    // the East
    "zdjęci", "zdjeci", "obrazek", "obrazk", "obráz", "obrazec", "fotografi", "termékkép", "képlink", "képurl",
    "изображ", "фото", "картин", "рисун", "зображ", "світлин", "снимк", "слик", "сурет", "зураг", "малюн", "миниатюр",
    "εικόν", "εικον", "φωτογραφ", "სურათ", "ფოტო", "նկար", "պատկեր",
    // Turkey, the Middle East
    "görsel", "gorsel", "şəkil", "תמונ", "צילום", "صورة", "صور", "تصویر", "تصاویر", "عکس",
    // Asia
    "画像", "写真", "イメージ", "サムネ", "图片", "图像", "圖片", "圖像", "照片", "相片", "主图", "主圖", "副图", "附图",
    "配图", "缩略图", "縮圖", "大图", "小图", "详情图", "图链接", "이미지", "사진", "그림", "썸네일", "चित्र", "छवि", "फोटो",
    "तस्वीर", "ছবি", "படம்", "ภาพ", "gambar", "hình ảnh", "hinh anh", "hìnhảnh", "larawan",
];

/// Words that may say picture: the cells decide.
pub(super) const WEAK_WORDS: &[&str] = &[
    "media", "medias", "medium", "mediafile", "file", "files", "datei", "dateien", "fichier", "fichiers", "attachment",
    "attachments", "anhang", "anhänge", "asset", "assets", "cover", "icon", "icons", "logo", "avatar", "banner", "hero",
    "poster", "artwork", "graphic", "graphics", "grafik", "render", "renders", "front", "back", "preview", "vorschau",
    "aperçu", "visuel", "visuels", "visual", "visuals", "slide", "slides", "src", "медиа", "файл", "файлы", "附件", "文件",
    "封面", "メディア", "ファイル", "カバー", "첨부파일", "anexos", "adjuntos", "allegati", "bijlagen", "bilagor", "załączniki",
];

/// After a word that says picture, these say that the column tells something about it.
pub(super) const ABOUT_WORDS: &[&str] = &[
    "alt", "alttext", "alts", "text", "texts", "id", "ids", "pos", "position", "positions", "label", "labels", "sort",
    "order", "sortorder", "ordering", "rank", "width", "height", "count", "counts", "caption",
    "captions", "title", "titles", "description", "descriptions", "desc", "type", "types", "format", "formats", "size",
    "sizes", "status", "hash", "md5", "sha", "sha1", "checksum", "license", "licence", "credit", "credits", "copyright",
    "author", "date", "time", "created", "updated", "modified", "changed", "tag", "tags", "visible", "visibility",
    "hidden", "include", "exclude", "required", "flag", "is", "has", "weight", "color", "colour", "roles", "role",
    "class", "style", "attribution", "attributes", "quality", "dpi", "resolution", "ratio", "rights", "uid",
    "uuid", "guid", "key", "etag", "seo", "keywords", "meta", "language", "locale", "page", "pages", "gallery_id",
    "text_alt", "texttitle", "beschreibung", "titel", "titre", "titolo", "titulo", "título", "legende", "légende",
    "posición", "posicion", "posição", "posizione", "reihenfolge", "größe", "breite", "höhe", "sortierung", "alternativo",
    "alternatif", "alternativtext", "alternatieve", "alternatywny", "podpis", "opis", "pozycja", "popis", "pořadí",
    "описание", "подпись", "позиция", "порядок", "текст", "ширина", "высота",
];

/// Anywhere in a name, these say that the column tells something about a picture.
pub(super) const ABOUT_STEMS: &[&str] = &[
    "alttext", "alt_text", "altimage_text", "bildtext", "bildunterschrift", "bildbeschreibung", "bildtitel", "texto",
    "alternativ", "légend", "étiquette", "etiqueta", "descripci", "descriç", "beschreib", "kuvaus", "kuvateksti",
    "imagecount", "imageid", "imagealt", "imagetitle", "imagelabel", "imageposition", "imagecaption", "imagewidth",
    "imageheight", "imagesize", "imagetype", "photoid", "photocount", "pictureid", "imagination", "photographer",
    "photography", "fotógrafo", "fotografo", "imagesort", "imageorder", "alt_tag", "alttag",
];

/// Words that a name may hold beside those for an address, and still say no more than address.
pub(super) const ADDRESS_WORDS: &[&str] = &[
    "url", "urls", "uri", "uris", "link", "links", "href", "input", "inputs", "web", "http", "https", "address",
    "addresses", "adresse", "adresses", "адрес", "ссылка", "ссылки", "链接", "網址", "网址", "enlace", "enlaces", "lien",
    "liens", "lenke", "länk", "odkaz", "odkazy", "bağlantı", "linki", "rechte", "source", "path", "direct", "download",
];

/// Words of columns that hold a product's or a shop's page.
pub(super) const PAGE_WORDS: &[&str] = &[
    "page", "pages", "deeplink", "deep", "permalink", "canonical", "website", "homepage", "landing", "affiliate",
    "tracking", "checkout", "cart", "video", "videos", "youtube", "pdf", "manual", "datasheet", "document", "documents",
    "brochure", "site", "redirect", "facebook", "instagram", "twitter", "seite", "página", "pagina", "страница",
];

/// What products' names are headed, without marks, the surest first.
pub(super) const NAME_WORDS: &[&str] = &[
    "productname", "name", "product", "title", "producttitle", "itemname", "item", "producttitel", "titel", "titre",
    "titolo", "título", "titulo", "nombre", "nom", "nome", "naam", "namn", "navn", "nimi", "nazwa", "název", "názov",
    "naziv", "denumire", "название", "наименование", "назва", "όνομα", "ad", "ürünadı", "שם", "الاسم", "نام",
    "商品名称", "商品名", "产品名称", "名称", "품명", "상품명", "제품명", "nombredelproducto", "nomduproduit", "produktname",
    "artikelname", "bezeichnung", "artikelbezeichnung", "nomedoproduto", "productnaam", "nazwaproduktu", "itemtitle",
    "listingtitle", "parenttitle",
];

/// Cells that say that there is nothing, in lower case.
pub(super) const PLACEHOLDERS: &[&str] = &[
    "-", "--", "---", "–", "—", "_", ".", "..", "...", "…", "?", "/", "\\", "*", "x", "0", "n/a", "n.a.", "n.a", "na", "n\\a",
    "n-a", "n/d", "nd", "n.d.", "k.a.", "n/v", "s/d", "null", "(null)", "<null>", "\\n", "nil", "none", "(none)", "<none>",
    "undefined", "(undefined)", "nan", "nat", "false", "true", "yes", "no", "ja", "nein", "[]", "{}", "()", "\"\"", "''", "[null]", "[none]",
    "[\"\"]", "['']", "empty", "(empty)", "<empty>", "blank", "(blank)", "missing", "tbd", "tba", "tbc", "todo", "unknown",
    "no image", "noimage", "no_image", "no-image", "no picture", "no photo", "no_selection", "no selection", "not available",
    "not applicable", "image not available", "no image available", "none available", "coming soon", "image coming soon",
    "kein bild", "keine", "sin imagen", "sans image", "aucune", "aucun", "nessuna", "ninguna", "ninguno", "geen", "нет",
    "无", "なし", "없음", "[object object]", "#n/a", "#na", "#nv", "#n/d", "#n/v", "error", "#error", "loading...", "pending",
];

/// Names of files that are pictures end so.
pub(super) const PICTURE_ENDINGS: &[&str] = &[
    "jpg", "jpeg", "jpe", "jfif", "png", "gif", "webp", "avif", "tif", "tiff", "bmp", "heic", "heif", "svg", "jp2", "jxl",
    "apng", "pjpeg",
];

/// Names of files that are no pictures end so.
pub(super) const OTHER_ENDINGS: &[&str] = &[
    "html", "htm", "xhtml", "aspx", "asp", "jsp", "do", "pdf", "doc", "docx", "xls", "xlsx", "csv", "txt", "xml", "json",
    "zip", "rar", "gz", "mp4", "mov", "webm", "avi", "m4v", "mp3", "wav", "glb", "gltf", "usdz", "obj", "stl", "js", "css",
    "eps", "psd", "ai",
];

/// Parts of hosts and paths under which pictures lie.
pub(super) const PICTURE_PLACES: &[&str] = &[
    "img", "image", "photo", "pic", "cdn", "media", "static", "asset", "upload", "thumb", "cloudinary", "imgix", "cloudfront",
    "googleusercontent", "airtableusercontent", "twimg", "gravatar", "files", "foto", "bild", "attachment", "s3.",
    "storage", "blob",
];

/// Parts of paths under which products' pages lie.
pub(super) const PAGE_PLACES: &[&str] = &[
    "p", "product", "products", "producto", "productos", "produkt", "produkte", "produit", "produits", "prodotto", "item",
    "items", "dp", "shop", "store", "collections", "collection", "category", "categories", "catalog", "listing", "listings",
    "itm", "pd", "page", "pages", "blog", "watch", "offer", "detail", "details", "artikel", "article",
];

/// Ends of the names of hosts that are written without `https://`; those of two letters beside.
pub(super) const HOST_ENDINGS: &[&str] = &[
    "com", "net", "org", "info", "biz", "shop", "store", "online", "site", "app", "dev", "cloud", "example", "test", "xyz", "pro",
    "art", "design", "gov", "edu", "eco", "club", "agency", "market", "supply", "studio", "media", "world", "top", "live",
    "space", "website", "tech", "global", "group", "company", "international", "boutique", "fashion", "photos", "pictures",
];
