"""Writes the catalogues that are measured."""

IMAGES_A_ROW = 3
HEADER = "S. No.,Product Name,Input Image Urls\n"


def over_pictures(path, pictures, base_url, count):
    """`count` images over the files of `pictures`, served at `base_url`.

    Each URL has its own query, which the origin ignores, so that nobody gains from
    seeing a picture twice.
    """
    names = sorted(each.name for each in pictures.iterdir() if each.suffix in (".jpg", ".png", ".webp"))
    urls = [f"{base_url}/{names[i % len(names)]}?i={i}" for i in range(count)]
    with path.open("w") as file:
        file.write(HEADER)
        for row, at in enumerate(range(0, count, IMAGES_A_ROW), start=1):
            file.write(f'{row},Product {row},"{", ".join(urls[at : at + IMAGES_A_ROW])}"\n')
    return path


def of_rows(path, rows):
    """`rows` rows with one distinct URL each, at an address that is never connected to."""
    with path.open("w") as file:
        file.write(HEADER)
        for row in range(1, rows + 1):
            file.write(f"{row},Product number {row},https://127.0.0.1/shop/pictures/{row:09}/front-view.jpg?version=3\n")
    return path


def over_origins(path, urls):
    """One row an image, the origins in turn."""
    with path.open("w") as file:
        file.write(HEADER)
        for row, url in enumerate(urls, start=1):
            file.write(f"{row},Product {row},{url}\n")
    return path
