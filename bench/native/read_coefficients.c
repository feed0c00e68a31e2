/* Reads the coefficients of JPEGs with libjpeg-turbo and does nothing with them: how fast its entropy decoder is.
 * read_coefficients ROUNDS FILE...   prints CPU milliseconds an image of each round as a JSON array. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <jpeglib.h>

static double cpu_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * 1e3 + now.tv_nsec / 1e6;
}

static void read_one(unsigned char *bytes, unsigned long size) {
    struct jpeg_decompress_struct in;
    struct jpeg_error_mgr errors;
    in.err = jpeg_std_error(&errors);
    jpeg_create_decompress(&in);
    jpeg_mem_src(&in, bytes, size);
    jpeg_read_header(&in, TRUE);
    jpeg_read_coefficients(&in);
    jpeg_finish_decompress(&in);
    jpeg_destroy_decompress(&in);
}

int main(int count, char **arguments) {
    int files = count - 2, rounds = count > 2 ? atoi(arguments[1]) : 0;
    unsigned char **bytes = calloc(files + 1, sizeof *bytes);
    unsigned long *sizes = calloc(files + 1, sizeof *sizes);
    for (int i = 0; i < files; i++) {
        FILE *file = fopen(arguments[i + 2], "rb");
        if (!file) return perror(arguments[i + 2]), 1;
        fseek(file, 0, SEEK_END);
        sizes[i] = ftell(file);
        rewind(file);
        bytes[i] = malloc(sizes[i]);
        if (fread(bytes[i], 1, sizes[i], file) != sizes[i]) return perror(arguments[i + 2]), 1;
        fclose(file);
        read_one(bytes[i], sizes[i]);
    }
    for (int round = 0; round < rounds; round++) {
        double begin = cpu_ms();
        for (int i = 0; i < files; i++) read_one(bytes[i], sizes[i]);
        printf("%s%.4f", round ? ", " : "[", (cpu_ms() - begin) / files);
    }
    puts(rounds ? "]" : "[]");
    return 0;
}
