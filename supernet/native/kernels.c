/* Training kernels for channels-last tensors on CPUs: batch norm with its activation, and depthwise weight gradients.

   Sums are divided among threads by position and put together in order, so the same input on as many threads gives the
   same bits. Values are float, or bfloat16 with -DBFLOAT16; all arithmetic is in float, long sums are in double.
   Each function returns 0, or 1 where memory is short. */
#include <math.h>
#include <omp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 8")

#ifdef BFLOAT16
typedef uint16_t value;
INLINE float load(value v) {
    uint32_t bits = (uint32_t)v << 16;
    float result;
    memcpy(&result, &bits, sizeof result);
    return result;
}
INLINE value store(float v) { /* to the nearest, ties to even; NaN stays NaN */
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    return (value)(v != v ? 0x7fc0 : rounded);
}
#else
typedef float value;
INLINE float load(value v) { return v; }
INLINE value store(float v) { return v; }
#endif

enum { BLOCK = 64 }; /* rows summed in float before the sum goes on in double */

enum { NONE, RELU, RELU6, HARD_SWISH };

/* Comparisons are written so that NaN stays NaN. */
INLINE float clipped(float p, float most) { return p < 0 ? 0 : (p > most ? most : p); }

INLINE float activated(float p, int kind) {
    switch (kind) {
    case RELU: return p < 0 ? 0 : p;
    case RELU6: return clipped(p, 6);
    case HARD_SWISH: return p * clipped(p + 3, 6) / 6;
    default: return p;
    }
}

INLINE float slope(float p, int kind) {
    switch (kind) {
    case RELU: return p > 0 ? 1 : 0;
    case RELU6: return p > 0 && p < 6 ? 1 : 0;
    case HARD_SWISH: return p < -3 ? 0 : (p <= 3 ? p / 3 + 0.5f : 1);
    default: return 1;
    }
}

/* One loop for each kind, so that none decides about it at every value. */
#define FOR_KIND(LOOP) \
    switch (kind) { \
    case RELU: LOOP(RELU); break; \
    case RELU6: LOOP(RELU6); break; \
    case HARD_SWISH: LOOP(HARD_SWISH); break; \
    default: LOOP(NONE); \
    }

INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* What every thread adds up for itself: two sums a channel, the parts of a block in float. */
typedef struct {
    double *sums;
    float *blocks;
    int64_t channels;
} Sums;

static int make_sums(Sums *s, int64_t threads, int64_t channels) {
    s->channels = channels;
    s->sums = calloc((size_t)threads * 2 * (size_t)channels, sizeof(double));
    s->blocks = malloc((size_t)threads * 2 * (size_t)channels * sizeof(float));
    return s->sums && s->blocks;
}

static void free_sums(Sums *s) {
    free(s->sums);
    free(s->blocks);
}

static double total(const Sums *s, int threads, int which, int64_t channel) {
    double result = 0;
    for (int t = 0; t < threads; t++) result += s->sums[(t * 2 + which) * s->channels + channel];
    return result;
}

/* Channels do not depend on each other, which the compiler cannot see behind so many pointers. */
#define EACH_CHANNEL _Pragma("omp simd") for (int64_t c = 0; c < channels; c++)

/* Adds up two values a channel over rows [begin, end), as AT(row) has them in `first` and `second`. */
#define ADD_UP(AT) \
    for (int64_t start = begin; start < end; start += BLOCK) { \
        int64_t stop = least(start + BLOCK, end); \
        memset(first_block, 0, (size_t)channels * sizeof(float)); \
        memset(second_block, 0, (size_t)channels * sizeof(float)); \
        for (int64_t row = start; row < stop; row++) \
            EACH_CHANNEL { \
                float first, second; \
                AT; \
                first_block[c] += first; \
                second_block[c] += second; \
            } \
        for (int64_t c = 0; c < channels; c++) { \
            first_sum[c] += first_block[c]; \
            second_sum[c] += second_block[c]; \
        } \
    }

#define THREAD_ROWS(SUMS) \
    int parts = omp_get_num_threads(), part = omp_get_thread_num(); \
    int64_t begin = rows * part / parts, end = rows * (part + 1) / parts; \
    double *first_sum = (SUMS).sums + part * 2 * channels, *second_sum = first_sum + channels; \
    float *first_block = (SUMS).blocks + part * 2 * channels, *second_block = first_block + channels;

/* y = activation(scale * (x - mean) / sqrt(variance + epsilon) + shift), with the rows' own mean and biased variance.
   x, y: rows x channels; the others: channels. */
int norm_forward(const value *restrict x, const float *restrict scale, const float *restrict shift, value *restrict y,
                 float *restrict mean, float *restrict variance, int64_t rows, int64_t channels, float epsilon, int64_t kind,
                 int64_t threads) {
    Sums sums;
    float *factors = malloc(2 * (size_t)channels * sizeof(float));
    int made = make_sums(&sums, threads, channels) && factors;
    if (made) {
        float *restrict factor = factors, *restrict offset = factors + channels;
#pragma omp parallel num_threads((int)threads)
        {
            THREAD_ROWS(sums)
/* Deviations from the first row: squares of values far from 0 would cancel out. */
#define DEVIATION first = load(x[row * channels + c]) - load(x[c]), second = first * first
            ADD_UP(DEVIATION)
#pragma omp barrier
#pragma omp single
            for (int64_t c = 0; c < channels; c++) {
                double deviation = total(&sums, parts, 0, c) / (double)rows;
                double spread = total(&sums, parts, 1, c) / (double)rows - deviation * deviation;
                mean[c] = (float)(deviation + load(x[c]));
                variance[c] = (float)(spread < 0 ? 0 : spread);
                factor[c] = (float)(scale[c] / sqrt((double)variance[c] + epsilon));
                offset[c] = shift[c] - mean[c] * factor[c];
            }
#define NORMALISE(KIND) \
    for (int64_t row = begin; row < end; row++) \
        EACH_CHANNEL { \
            int64_t at = row * channels + c; \
            y[at] = store(activated(load(x[at]) * factor[c] + offset[c], KIND)); \
        }
            FOR_KIND(NORMALISE)
        }
    }
    free_sums(&sums);
    free(factors);
    return !made;
}

/* Gradients of norm_forward's x, scale and shift, given that of y. The activation's input is computed again: reading
   what was kept of it would take longer. */
int norm_backward(const value *restrict x, const value *restrict grad, const float *restrict scale,
                  const float *restrict shift, const float *restrict mean, const float *restrict variance,
                  value *restrict grad_x, float *restrict grad_scale, float *restrict grad_shift, int64_t rows,
                  int64_t channels, float epsilon, int64_t kind, int64_t threads) {
    Sums sums;
    float *factors = malloc(4 * (size_t)channels * sizeof(float));
    int made = make_sums(&sums, threads, channels) && factors;
    if (made) {
        float *restrict factor = factors, *restrict offset = factor + channels;
        float *restrict of_x = offset + channels, *restrict constant = of_x + channels;
        for (int64_t c = 0; c < channels; c++) {
            factor[c] = (float)(scale[c] / sqrt((double)variance[c] + epsilon));
            offset[c] = shift[c] - mean[c] * factor[c];
        }
#pragma omp parallel num_threads((int)threads)
        {
            THREAD_ROWS(sums)
#define THROUGH(KIND) (load(grad[at]) * slope(load(x[at]) * factor[c] + offset[c], KIND))
#define MOMENTS(KIND) ADD_UP(int64_t at = row * channels + c; first = THROUGH(KIND); second = first * (load(x[at]) - mean[c]))
            FOR_KIND(MOMENTS)
#pragma omp barrier
#pragma omp single
            for (int64_t c = 0; c < channels; c++) {
                double sum = total(&sums, parts, 0, c), product = total(&sums, parts, 1, c);
                double inverse = 1 / sqrt((double)variance[c] + epsilon);
                double share = product * inverse * inverse / (double)rows;
                grad_shift[c] = (float)sum;
                grad_scale[c] = (float)(product * inverse);
                of_x[c] = (float)(-factor[c] * share);
                constant[c] = (float)(factor[c] * (share * mean[c] - sum / (double)rows));
            }
#define SPREAD(KIND) \
    for (int64_t row = begin; row < end; row++) \
        EACH_CHANNEL { \
            int64_t at = row * channels + c; \
            grad_x[at] = store(factor[c] * THROUGH(KIND) + (of_x[c] * load(x[at]) + constant[c])); \
        }
            FOR_KIND(SPREAD)
        }
    }
    free_sums(&sums);
    free(factors);
    return !made;
}

/* Channels side by side in one register. */
typedef float float16 __attribute__((vector_size(64), aligned(4), may_alias));
typedef float float8 __attribute__((vector_size(32), aligned(4), may_alias));
#ifdef BFLOAT16
typedef uint32_t bits16 __attribute__((vector_size(64)));
typedef uint32_t bits8 __attribute__((vector_size(32)));
typedef uint16_t value16 __attribute__((vector_size(32), aligned(2), may_alias));
typedef uint16_t value8 __attribute__((vector_size(16), aligned(2), may_alias));
INLINE float16 load_float16(const value *at) { return (float16)(__builtin_convertvector(*(const value16 *)at, bits16) << 16); }
INLINE float8 load_float8(const value *at) { return (float8)(__builtin_convertvector(*(const value8 *)at, bits8) << 16); }
#else
INLINE float16 load_float16(const value *at) { return *(const float16 *)at; }
INLINE float8 load_float8(const value *at) { return *(const float8 *)at; }
#endif
INLINE float load_float(const value *at) { return load(*at); }

/* Sizes of one depthwise convolution; channels lie side by side in every position. */
typedef struct {
    int64_t channels, height, width, out_height, out_width;
    int64_t stride;
} Shape;

/* Gradient of row `i` of K x K taps, from one image and as many channels as FLOATS holds. Outputs in [inner, edge) see
   all taps of the row inside the image. */
#define TAP_ROW(NAME, FLOATS, K) \
    static void NAME(const value *x, const value *grad, float *result, const Shape *s, int i) { \
        const int64_t pad = K / 2, channels = s->channels, width = s->width, stride = s->stride; \
        FLOATS sum[K]; \
        UNROLL for (int j = 0; j < K; j++) sum[j] = (FLOATS){0}; \
        int64_t edge = width + pad < K ? 0 : least((width - K + pad) / stride + 1, s->out_width); \
        int64_t inner = least((pad + stride - 1) / stride, edge); \
        for (int64_t oh = 0; oh < s->out_height; oh++) { \
            int64_t h = oh * stride + i - pad; \
            if (h < 0 || h >= s->height) continue; \
            const value *row = x + h * width * channels, *up = grad + oh * s->out_width * channels; \
            for (int64_t ow = 0; ow < s->out_width; ow++) { \
                FLOATS g = load_##FLOATS(up + ow * channels); \
                const value *seen = row + (ow * stride - pad) * channels; \
                if (ow >= inner && ow < edge) { \
                    UNROLL for (int j = 0; j < K; j++) sum[j] += load_##FLOATS(seen + j * channels) * g; \
                } else { \
                    UNROLL for (int j = 0; j < K; j++) { \
                        int64_t w = ow * stride - pad + j; \
                        if (w >= 0 && w < width) sum[j] += load_##FLOATS(seen + j * channels) * g; \
                    } \
                } \
            } \
        } \
        UNROLL for (int j = 0; j < K; j++) *(FLOATS *)(result + j * channels) += sum[j]; \
    }

#define IMAGE(NAME, K) \
    TAP_ROW(NAME##_16, float16, K) \
    TAP_ROW(NAME##_8, float8, K) \
    TAP_ROW(NAME##_1, float, K) \
    static void NAME(const value *x, const value *grad, float *result, const Shape *s) { \
        int64_t c = 0; \
        for (; c + 16 <= s->channels; c += 16) \
            for (int i = 0; i < K; i++) NAME##_16(x + c, grad + c, result + i * K * s->channels + c, s, i); \
        for (; c + 8 <= s->channels; c += 8) \
            for (int i = 0; i < K; i++) NAME##_8(x + c, grad + c, result + i * K * s->channels + c, s, i); \
        for (; c < s->channels; c++) \
            for (int i = 0; i < K; i++) NAME##_1(x + c, grad + c, result + i * K * s->channels + c, s, i); \
    }
IMAGE(image_3, 3)
IMAGE(image_5, 5)
IMAGE(image_7, 7)

/* Weight gradient, channels x kernel x kernel, of a depthwise convolution padded by kernel / 2.
   x: images x height x width x channels; grad: images x out_height x out_width x channels; kernel: 3, 5 or 7. */
int depthwise_weight_gradient(const value *restrict x, const value *restrict grad, value *restrict result,
                              int64_t images, int64_t channels, int64_t height, int64_t width, int64_t out_height,
                              int64_t out_width, int64_t kernel, int64_t stride, int64_t threads) {
    Shape shape = {channels, height, width, out_height, out_width, stride};
    int64_t size = kernel * kernel * channels;
    float *sums = calloc((size_t)threads * (size_t)size, sizeof(float));
    if (!sums) return 1;
#pragma omp parallel num_threads((int)threads)
    {
        int64_t parts = omp_get_num_threads(), part = omp_get_thread_num();
        for (int64_t n = images * part / parts; n < images * (part + 1) / parts; n++) {
            const value *image = x + n * height * width * channels, *up = grad + n * out_height * out_width * channels;
            switch (kernel) {
            case 3: image_3(image, up, sums + part * size, &shape); break;
            case 5: image_5(image, up, sums + part * size, &shape); break;
            default: image_7(image, up, sums + part * size, &shape);
            }
        }
    }
    for (int64_t c = 0; c < channels; c++)
        for (int64_t tap = 0; tap < kernel * kernel; tap++) {
            double sum = 0;
            for (int t = 0; t < threads; t++) sum += sums[t * size + tap * channels + c];
            result[c * kernel * kernel + tap] = store((float)sum);
        }
    free(sums);
    return 0;
}
