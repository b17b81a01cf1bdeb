using Lamina.Compute.Gguf;
using Lamina.Compute.Quantization;

namespace Lamina.Compute.Tests.Quantization;

public class QuantizerTests
{
    /// <summary>What a block can hold exactly comes back exactly.</summary>
    [Theory]
    [InlineData(GgmlType.Q4_0, -8, 7)]
    [InlineData(GgmlType.Q4_1, -8, 7)]
    [InlineData(GgmlType.Q5_0, -16, 15)]
    [InlineData(GgmlType.Q5_1, -16, 15)]
    [InlineData(GgmlType.Q8_0, -127, 127)]
    [InlineData(GgmlType.TQ1_0, -1, 1)]
    [InlineData(GgmlType.TQ2_0, -1, 1)]
    public void FromF32_WholeNumbersOverTheFullRange_ComeBack(GgmlType type, int low, int high)
    {
        var random = new Random(3);
        float[] values = Enumerable.Range(0, 512).Select(i => (float)(i % 32 == 0 ? low : i % 32 == 1 ? high : random.Next(low, high + 1))).ToArray();
        Assert.Equal(values, RoundTrip(type, values));
    }

    [Theory]
    [MemberData(nameof(ScaledTypes))]
    public void FromF32_ZerosAndConstants_StayFiniteAndClose(GgmlType type)
    {
        foreach (float constant in (float[])[0f, 1f, -1f, 1e-20f, 1e4f])
        {
            float[] decoded = RoundTrip(type, Enumerable.Repeat(constant, 512).ToArray());
            Assert.All(decoded, value => Assert.InRange(value, constant - (0.1f * MathF.Abs(constant)) - 1e-7f, constant + (0.1f * MathF.Abs(constant)) + 1e-7f));
        }
    }

    [Theory]
    [MemberData(nameof(SearchedTypes))]
    public void FromF32_ImportanceOnSomeColumns_LowersTheirError(GgmlType type)
    {
        var random = new Random(11);
        float[] values = Enumerable.Range(0, 64 * 256).Select(_ => (float)((random.NextDouble() + random.NextDouble() + random.NextDouble()) - 1.5)).ToArray();
        float[] importance = Enumerable.Range(0, 256).Select(i => i % 4 == 0 ? 1f : 0.01f).ToArray();
        double Error(float[] decoded) => Enumerable.Range(0, values.Length).Where(i => i % 4 == 0).Sum(i => Math.Pow(values[i] - decoded[i], 2));

        Assert.True(Error(RoundTrip(type, values, importance)) < Error(RoundTrip(type, values)), type.ToString());
    }

    [Fact]
    public void FromF32_ImportanceOfAnotherWidth_IsRefused() =>
        Assert.Throws<ArgumentException>(() => RoundTrip(GgmlType.Q4_K, new float[512], new float[300]));

    [Fact]
    public void FromF32_BF16_RoundsToNearestEven()
    {
        float[] decoded = RoundTrip(GgmlType.BF16, [1f + (1f / 256), 1f + (3f / 256), float.NaN, float.PositiveInfinity]);
        Assert.Equal([1f, 1f + (1f / 64), float.NaN, float.PositiveInfinity], decoded);
    }

    [Fact]
    public void FromF32_IntegerType_IsRefused() => Assert.Throws<NotSupportedException>(() => RoundTrip(GgmlType.I32, new float[1]));

    /// <summary>Types whose blocks can hold a constant.</summary>
    public static TheoryData<GgmlType> ScaledTypes() => [GgmlType.Q2_K, GgmlType.Q3_K, GgmlType.Q4_K, GgmlType.Q5_K, GgmlType.Q6_K, GgmlType.IQ4_NL, GgmlType.IQ4_XS];

    public static TheoryData<GgmlType> SearchedTypes() => [GgmlType.Q2_K, GgmlType.Q3_K, GgmlType.Q4_K, GgmlType.Q5_K, GgmlType.Q6_K, GgmlType.IQ4_NL, GgmlType.IQ4_XS, GgmlType.IQ3_S, GgmlType.IQ3_XXS];

    private static float[] RoundTrip(GgmlType type, float[] values, float[]? importance = null)
    {
        var bytes = new byte[GgmlTypes.ByteLength(type, values.Length)];
        Quantizer.FromF32(type, values, bytes, importance);
        var decoded = new float[values.Length];
        Dequantizer.ToF32(type, bytes, decoded);
        return decoded;
    }
}
