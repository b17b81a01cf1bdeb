using Lamina.Compute.Gguf;
using Lamina.Compute.Kernels;
using Lamina.Compute.Quantization;

namespace Lamina.Compute.Tests.Kernels;

public sealed unsafe class MatMulTests
{
    /// <summary>Variants under test; the AVX-512 form runs on AVX2 halves where the machine lacks it.</summary>
    private static readonly CpuVariant[] s_vectorVariants = CpuVariants.Available.Contains(CpuVariant.Avx2) ? [CpuVariant.Avx2, CpuVariant.Avx512] : [];

    public static TheoryData<GgmlType> Types =>
    [
        GgmlType.F32, GgmlType.F16, GgmlType.BF16, GgmlType.Q4_0, GgmlType.Q4_1, GgmlType.Q5_0, GgmlType.Q5_1, GgmlType.Q8_0,
        GgmlType.Q2_K, GgmlType.Q3_K, GgmlType.Q4_K, GgmlType.Q5_K, GgmlType.Q6_K, GgmlType.IQ4_NL, GgmlType.IQ4_XS, GgmlType.MXFP4,
        GgmlType.IQ1_S, GgmlType.IQ1_M, GgmlType.IQ2_XXS, GgmlType.IQ2_XS, GgmlType.IQ2_S, GgmlType.IQ3_XXS, GgmlType.IQ3_S, GgmlType.TQ1_0, GgmlType.TQ2_0,
    ];

    [Fact]
    public void Multiply_SmallFloats_EqualsHandCalculation()
    {
        using var team = new WorkerTeam(2);
        using var weights = TestWeights.FromFloats(team, [[1, 2, 3], [-1, 0.5f, 4]]);
        using var x = new ActivationRows(2, 3);
        float* input = stackalloc float[] { 1, 10, 100, 2, -2, 0.5f };
        float* output = stackalloc float[4];
        x.Set(input, 3, 2, 3);
        MatMul.Multiply(team, weights, x, output, 2);
        Assert.Equal([321f, 404f, -0.5f, -1f], new Span<float>(output, 4).ToArray());
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void Multiply_EveryVariantBatchAndTeam_GivesTheScalarBits(GgmlType type)
    {
        int block = GgmlTypes.BlockElements(type);
        foreach ((int rows, int columns) in new[] { (1, 256), (16, 512), (37, 768), (35, block == 256 ? 256 : 96), (20, block == 256 ? 512 : 416) })
        {
            byte[] bytes = TestWeights.RandomBytes(type, rows, columns, seed: rows);
            int most = 19;
            float[] input = TestWeights.RandomInput(most, columns, seed: columns);
            float[] expected = Multiply(CpuVariant.Scalar, 1, type, bytes, rows, columns, input, most);
            foreach (CpuVariant variant in s_vectorVariants)
            {
                foreach (int count in new[] { 1, 2, 3, 4, 5, 7, 8, 13, most })
                {
                    float[] actual = Multiply(variant, count == 1 ? 3 : 2, type, bytes, rows, columns, input, count);
                    for (int i = 0; i < count * rows; i++)
                    {
                        Assert.True(
                            BitConverter.SingleToInt32Bits(expected[i]) == BitConverter.SingleToInt32Bits(actual[i]),
                            $"{type} {variant} {rows}x{columns}, {count} rows: output {i % rows} of row {i / rows} is {actual[i]:R}, scalar {expected[i]:R}");
                    }
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void Multiply_AgainstDequantisedWeights_DiffersOnlyByTheInputsRounding(GgmlType type)
    {
        const int rows = 24, columns = 512;
        byte[] bytes = TestWeights.RandomBytes(type, rows, columns, seed: 5);
        float[] values = new float[rows * columns];
        Dequantizer.ToF32(type, bytes, values);
        float[] input = TestWeights.RandomInput(1, columns, seed: 6);
        float[] actual = Multiply(CpuVariants.Chosen, 2, type, bytes, rows, columns, input, 1);
        for (int r = 0; r < rows; r++)
        {
            double exact = 0, squares = 0;
            for (int k = 0; k < columns; k++)
            {
                double weight = values[(r * columns) + k];
                exact += weight * input[k];
                squares += weight * weight;
            }

            // Rounding to 8 bits errs by a step of at most 10/127 over the square root of 12 per value, at random; five deviations.
            double tolerance = (5 * Math.Sqrt(squares) * 10 / 127 / Math.Sqrt(12)) + (1e-5 * Math.Sqrt(squares));
            Assert.True(double.IsNaN(exact) ? float.IsNaN(actual[r]) : Math.Abs(actual[r] - exact) <= tolerance, $"{type} row {r}: {actual[r]}, exact {exact}, tolerance {tolerance}");
        }
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void DequantizeRow_AnyRow_EqualsTheDequantiser(GgmlType type)
    {
        const int rows = 18, columns = 512;
        byte[] bytes = TestWeights.RandomBytes(type, rows, columns, seed: 9);
        float[] values = new float[rows * columns];
        Dequantizer.ToF32(type, bytes, values);
        using var team = new WorkerTeam(1);
        using WeightMatrix weights = TestWeights.FromBytes(team, type, rows, columns, bytes);
        float[] row = new float[columns];
        foreach (int r in new[] { 0, 7, 15, 16, 17 })
        {
            weights.DequantizeRow(r, row);
            Assert.Equal(values.AsSpan(r * columns, columns).ToArray(), row);
        }
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void Multiply_RandomBitsAsScales_SameBitsInEveryVariant(GgmlType type)
    {
        const int rows = 16, columns = 512;
        byte[] bytes = new byte[GgmlTypes.ByteLength(type, rows * columns)];
        new Random(11).NextBytes(bytes);
        float[] input = TestWeights.RandomInput(2, columns, seed: 12);
        input[3] = float.NaN;
        input[columns + 40] = float.PositiveInfinity;
        input[columns + 300] = 1e38f;
        float[] expected = Multiply(CpuVariant.Scalar, 1, type, bytes, rows, columns, input, 2);
        foreach (CpuVariant variant in s_vectorVariants)
        {
            float[] actual = Multiply(variant, 2, type, bytes, rows, columns, input, 2);
            for (int i = 0; i < expected.Length; i++)
            {
                // The payload and sign of a NaN are not part of the promise.
                Assert.True(
                    (float.IsNaN(expected[i]) && float.IsNaN(actual[i])) || BitConverter.SingleToInt32Bits(expected[i]) == BitConverter.SingleToInt32Bits(actual[i]),
                    $"{type} {variant}: output {i} is {actual[i]:R}, scalar {expected[i]:R}");
            }
        }
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void Multiply_EveryValueAtItsExtreme_SameBitsInEveryVariant(GgmlType type)
    {
        const int rows = 16, columns = 256;
        foreach (byte fill in new byte[] { 0x00, 0xFF, 0x80, 0x7F, 0x0F, 0xF0 })
        {
            byte[] bytes = TestWeights.RandomBytes(type, rows, columns, seed: 3);
            byte[] scaled = (byte[])bytes.Clone();
            Array.Fill(bytes, fill);
            TestWeights.CopyScales(type, scaled, bytes);
            foreach (float sign in new[] { 1f, -1f })
            {
                float[] input = [.. Enumerable.Repeat(sign, columns)];
                float[] expected = Multiply(CpuVariant.Scalar, 1, type, bytes, rows, columns, input, 1);
                foreach (CpuVariant variant in s_vectorVariants)
                {
                    float[] actual = Multiply(variant, 1, type, bytes, rows, columns, input, 1);
                    Assert.Equal(expected.Select(BitConverter.SingleToInt32Bits), actual.Select(BitConverter.SingleToInt32Bits));
                }
            }
        }
    }

    [Fact]
    public void Multiply_GatheredRows_EqualsTheRowsOneByOne()
    {
        const int rows = 20, columns = 256;
        using var team = new WorkerTeam(2);
        using WeightMatrix weights = TestWeights.FromBytes(team, GgmlType.Q4_K, rows, columns, TestWeights.RandomBytes(GgmlType.Q4_K, rows, columns, 1));
        using var x = new ActivationRows(6, columns);
        float[] input = TestWeights.RandomInput(6, columns, 2);
        float[] all = new float[6 * rows], some = new float[6 * rows];
        int* chosen = stackalloc int[] { 5, 0, 3, 3, 1 };
        fixed (float* inputs = input, outputs = all, gathered = some)
        {
            x.Set(inputs, columns, 6, columns);
            MatMul.Multiply(team, weights, x, outputs, rows);
            MatMul.Multiply(team, weights, x, chosen, 5, gathered, rows);
        }

        for (int i = 0; i < 5; i++)
        {
            Assert.Equal(all.AsSpan(chosen[i] * rows, rows).ToArray(), some.AsSpan(i * rows, rows).ToArray());
        }
    }

    [Fact]
    public void Pack_StackedParts_EqualsThePartsOneByOne()
    {
        const int columns = 64;
        byte[] first = TestWeights.RandomBytes(GgmlType.Q8_0, 5, columns, 1), second = TestWeights.RandomBytes(GgmlType.Q8_0, 30, columns, 2);
        using var team = new WorkerTeam(2);
        fixed (byte* a = first, b = second)
        {
            var tensorA = new TensorView("a", GgmlType.Q8_0, columns, 5, [columns, 5], (nint)a, first.Length);
            var tensorB = new TensorView("b", GgmlType.Q8_0, columns, 30, [columns, 30], (nint)b, second.Length);
            using WeightMatrix stacked = WeightMatrix.Pack(team, tensorA, new WeightPart(tensorB, 10, 20));
            Assert.Equal(25, stacked.Rows);
            float[] expected = new float[35 * columns], row = new float[columns];
            Dequantizer.ToF32(GgmlType.Q8_0, first, expected.AsSpan(0, 5 * columns));
            Dequantizer.ToF32(GgmlType.Q8_0, second, expected.AsSpan(5 * columns));
            for (int r = 0; r < 25; r++)
            {
                stacked.DequantizeRow(r, row);
                Assert.Equal(expected.AsSpan((r < 5 ? r : r + 10) * columns, columns).ToArray(), row);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void PackedBytes_WideMatrix_StayWithin1Point15OfTheFile(GgmlType type) =>
        Assert.InRange(WeightMatrix.PackedBytes(type, 2048, 2048), 1, (long)(1.15 * GgmlTypes.ByteLength(type, 2048 * 2048)));

    private static float[] Multiply(CpuVariant variant, int threads, GgmlType type, byte[] bytes, int rows, int columns, float[] input, int count)
    {
        using var team = new WorkerTeam(threads, variant);
        using WeightMatrix weights = TestWeights.FromBytes(team, type, rows, columns, bytes);
        using var x = new ActivationRows(count, columns);
        float[] output = new float[count * rows];
        fixed (float* inputs = input, outputs = output)
        {
            x.Set(inputs, columns, count, columns);
            MatMul.Multiply(team, weights, x, outputs, rows);
        }

        return output;
    }
}
