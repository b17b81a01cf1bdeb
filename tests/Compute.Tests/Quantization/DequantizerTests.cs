using System.Runtime.InteropServices;
using Lamina.Compute.Gguf;
using Lamina.Compute.Quantization;
using Lamina.TestSupport;

namespace Lamina.Compute.Tests.Quantization;

public class DequantizerTests
{
    /// <summary>Each line: type, the bytes of one random block, its values as little-endian F32 computed by ggml's reference code.</summary>
    public static TheoryData<string, string, string> ReferenceBlocks()
    {
        var data = new TheoryData<string, string, string>();
        string file = Repository.File("tests/Compute.Tests/Quantization/dequantized-blocks.txt");
        foreach (string line in File.ReadLines(file))
        {
            string[] fields = line.Split(' ');
            data.Add(fields[0], fields[1], fields[2]);
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(ReferenceBlocks), DisableDiscoveryEnumeration = true)]
    public void ToF32_ReferenceBlock_IsExact(string type, string block, string expected)
    {
        float[] values = MemoryMarshal.Cast<byte, float>(Convert.FromHexString(expected)).ToArray();
        Assert.Equal(values, Decode(Enum.Parse<GgmlType>(type), Convert.FromHexString(block), values.Length));
    }

    [Fact]
    public void ToF32_Q4_0_PlacesLowNibblesFirst()
    {
        // d = 2, byte i holds i in its low half and 15 - i in its high half.
        byte[] block = [0x00, 0x40, .. Enumerable.Range(0, 16).Select(i => (byte)(i | ((15 - i) << 4)))];
        float[] expected = [.. Enumerable.Range(0, 16).Select(i => 2f * (i - 8)), .. Enumerable.Range(0, 16).Select(i => 2f * (7 - i))];
        Assert.Equal(expected, Decode(GgmlType.Q4_0, block, 32));
    }

    [Fact]
    public void ToF32_Q8_0_MultipliesSignedBytes()
    {
        byte[] block = [0x00, 0x38, 0x80, 0x7F, 0x01, 0xFF, .. new byte[28]];
        Assert.Equal([-64f, 63.5f, 0.5f, -0.5f, .. new float[28]], Decode(GgmlType.Q8_0, block, 32));
    }

    [Fact]
    public void ToF32_Q4_K_UsesScaleAndMinimumOfEachGroup()
    {
        // d = 1, dmin = 0.5; group 0: scale 3, minimum 2; group 4: scale 0x21, minimum 0x12 (upper bits in bytes 0 and 4 of the scales).
        var block = new byte[144];
        (block[1], block[3]) = (0x3C, 0x38);
        (block[4], block[8], block[12]) = (3 | (2 << 6), 2 | (1 << 6), 0x21);
        block.AsSpan(16).Fill(0x75);
        float[] values = Decode(GgmlType.Q4_K, block, 256);
        Assert.Equal((3 * 5) - 1f, values[0]);
        Assert.Equal(0f, values[32]);
        Assert.Equal((0x21 * 5) - (0.5f * 0x12), values[128]);
    }

    [Fact]
    public void ToF32_F16_IsExactForEveryBitPattern()
    {
        byte[] all = MemoryMarshal.AsBytes(Enumerable.Range(0, 65_536).Select(i => (ushort)i).ToArray().AsSpan()).ToArray();
        float[] values = Decode(GgmlType.F16, all, 65_536);
        for (int bits = 0; bits < 65_536; bits++)
        {
            int exponent = (bits >> 10) & 31;
            int fraction = bits & 1023;
            double magnitude = exponent switch
            {
                0 => fraction * Math.Pow(2, -24),
                31 => fraction == 0 ? double.PositiveInfinity : double.NaN,
                _ => (1024 + fraction) * Math.Pow(2, exponent - 25),
            };
            Assert.Equal(bits >= 0x8000 ? -magnitude : magnitude, values[bits]);
        }
    }

    [Fact]
    public void ToF32_BF16_IsTheUpperHalf() => Assert.Equal([1f, -2f, 3.140625f], Decode(GgmlType.BF16, [0x80, 0x3F, 0x00, 0xC0, 0x49, 0x40], 3));

    [Fact]
    public void ToF32_LengthsThatDisagree_AreRefused()
    {
        Assert.Throws<ArgumentException>(() => Decode(GgmlType.Q8_0, new byte[33], 32));
        Assert.Throws<ArgumentException>(() => Decode(GgmlType.Q8_0, new byte[34], 31));
        Assert.Throws<ArgumentException>(() => Decode(GgmlType.F32, new byte[4], 2));
    }

    [Fact]
    public void ToF32_IntegerTypes_AreRefusedByName()
    {
        Assert.Contains("I32", Assert.Throws<NotSupportedException>(() => Decode(GgmlType.I32, new byte[4], 1)).Message);
        Assert.Throws<NotSupportedException>(() => Decode((GgmlType)99, new byte[4], 1));
    }

    /// <summary>The error of each tensor relative to its RMS, for what llama-quantize made of one random model; bounds are about a third above what the bits allow.</summary>
    [Theory]
    [InlineData("BF16", 0.003)]
    [InlineData("Q8_0", 0.01)]
    [InlineData("Q6_K", 0.03)]
    [InlineData("Q5_K_M", 0.06)]
    [InlineData("Q5_0", 0.07)]
    [InlineData("Q5_1", 0.06)]
    [InlineData("Q4_K_M", 0.11)]
    [InlineData("Q4_0", 0.13)]
    [InlineData("Q4_1", 0.12)]
    [InlineData("IQ4_NL", 0.11)]
    [InlineData("IQ4_XS", 0.11)]
    [InlineData("Q3_K_M", 0.22)]
    [InlineData("IQ3_S", 0.22)]
    [InlineData("IQ3_XXS", 0.30)]
    [InlineData("Q2_K", 0.40)]
    [InlineData("IQ2_S", 0.45)]
    [InlineData("IQ2_XS", 0.50)]
    [InlineData("IQ2_XXS", 0.55)]
    [InlineData("IQ1_M", 0.65)]
    [InlineData("IQ1_S", 0.70)]
    [InlineData("TQ1_0", 0.9)]
    [InlineData("TQ2_0", 0.9)]
    public void ToF32_QuantisedReferenceModel_IsNearTheOriginal(string name, double bound)
    {
        using GgufFile original = GgufFile.Open(Repository.Shared("models/quant/q-f32.gguf"));
        using GgufFile quantised = GgufFile.Open(Repository.Shared($"models/quant/q-{name}.gguf"));
        foreach (TensorView tensor in quantised.Tensors)
        {
            Assert.True(original.TryGet(tensor.Name, out TensorView reference));
            double error = RelativeError(Decode(reference), Decode(tensor));
            Assert.True(error <= bound, $"{tensor.Name} ({tensor.Type}): {error:f4} > {bound}");
        }
    }

    private static float[] Decode(TensorView tensor) => Decode(tensor.Type, tensor.RowBytes(0, (int)tensor.Rows), (int)(tensor.Rows * tensor.Columns));

    private static float[] Decode(GgmlType type, ReadOnlySpan<byte> bytes, int count)
    {
        var values = new float[count];
        Dequantizer.ToF32(type, bytes, values);
        return values;
    }

    private static double RelativeError(float[] expected, float[] found)
    {
        double error = 0;
        double power = 0;
        for (int i = 0; i < expected.Length; i++)
        {
            error += Math.Pow(expected[i] - found[i], 2);
            power += Math.Pow(expected[i], 2);
        }

        return Math.Sqrt(error / power);
    }
}
