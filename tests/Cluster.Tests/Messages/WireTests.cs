using Lamina.Cluster.Links;
using Lamina.Cluster.Messages;
using Lamina.Cluster.Tests.Support;
using Lamina.Compute.Sampling;

namespace Lamina.Cluster.Tests.Messages;

/// <summary>Bytes that advisories on MessagePack libraries describe, and what a peer can leave out.</summary>
public sealed class WireTests
{
    /// <summary>Of the thread's own time, whatever else the machine does.</summary>
    private static readonly TimeSpan s_limit = TimeSpan.FromMilliseconds(50);

    [Fact]
    public void Decode_ArrayThatEndsEarly_SaysWhatIsMissing()
    {
        byte[] three = [0x93, 1, 1, 0xA1, (byte)'t'];

        Assert.Contains("Sender is missing", Assert.Throws<InvalidDataException>(() => Wire.Decode<LinkHello>(three.AsMemory())).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Decode_Nil_IsRefused() => Assert.Throws<InvalidDataException>(() => Wire.Decode<LinkHello>(new byte[] { 0xC0 }.AsMemory()));

    [Fact]
    public void Decode_NilForAList_IsRefused()
    {
        byte[] bytes = Wire.Encode(new NodeCommands.LoadStage(new("t"), default, 1, 0, 1, "d", null!, new StageSettings(1, 1, 1, 1, 1, 1, 1), null));

        Assert.Contains("Sources is missing", Assert.Throws<InvalidDataException>(() => Wire.Decode<NodeCommands.LoadStage>(bytes.AsMemory())).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Decode_BytesLeftOver_AreRefused()
    {
        byte[] bytes = [.. Wire.Encode(LinkPair.HelloOf("a")), 0xC0];

        Assert.Contains("left over", Assert.Throws<InvalidDataException>(() => Wire.Decode<LinkHello>(bytes.AsMemory())).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Decode_FieldsOfALaterVersion_AreSkipped()
    {
        byte[] bytes = Wire.Encode(LinkPair.HelloOf("a"));
        bytes[0]++;

        Assert.Equal(LinkPair.HelloOf("a"), Wire.Decode<LinkHello>([.. bytes, 0xA3, 1, 2, 3]));
    }

    [Trait("Attack", "C8")]
    [Theory]
    [InlineData("Upper")]
    [InlineData("")]
    [InlineData("../x")]
    [InlineData("a/b")]
    public void Decode_NameThatIsNotALabel_IsRefused(string name)
    {
        byte[] bytes = Wire.Encode(new NodeCommands.DescribeNode(new TenantId(name)));

        Assert.Contains("not a valid name", Assert.Throws<InvalidDataException>(() => Wire.Decode<NodeCommands.DescribeNode>(bytes.AsMemory())).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("host name", 1)]
    [InlineData("", 1)]
    [InlineData("a", -1)]
    [InlineData("a", 65536)]
    public void Decode_EndpointOutOfRange_IsRefused(string host, int port) =>
        Assert.Throws<InvalidDataException>(() => Wire.Decode<Endpoint>(Wire.Encode(new Endpoint(host, port)).AsMemory()));

    public static TheoryData<string, byte[]> Advisories() => new()
    {
        { "arrays nested a million deep", [.. Enumerable.Repeat((byte)0x91, 1_000_000)] },
        { "maps nested a million deep", [.. Enumerable.Repeat((byte)0x81, 1_000_000)] },
        { "array of 4 G elements", [0xDD, 0xFF, 0xFF, 0xFF, 0xFF] },
        { "extension of 2 GB", [0x95, 1, 1, 0xC9, 0x7F, 0xFF, 0xFF, 0xFF, 0x63] },
        { "string of 2 GB", [0x95, 1, 1, 0xDB, 0x7F, 0xFF, 0xFF, 0xFF] },
        { "timestamp extension", [0x95, 1, 1, 0xD6, 0xFF, 0, 0, 0, 0] },
        { "an unknown member nested a million deep", [0x96, 1, 1, 0xA1, (byte)'a', 0xA1, (byte)'a', 0xC0, .. Enumerable.Repeat((byte)0x91, 1_000_000)] },
    };

    [Trait("Attack", "B8")]
    [Theory]
    [MemberData(nameof(Advisories))]
    public void Decode_PayloadOfAnAdvisory_IsATypedErrorFastAndSmall(string _, byte[] bytes)
    {
        Assert.Throws<InvalidDataException>(() => Wire.Decode<LinkHello>([0xC0]));
        TimeSpan best = TimeSpan.MaxValue;
        for (int i = 0; i < 3; i++)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            TimeSpan start = ThreadTime.Now;
            Assert.Throws<InvalidDataException>(() => Wire.Decode<LinkHello>(bytes.AsMemory()));
            TimeSpan taken = ThreadTime.Now - start;
            best = taken < best ? taken : best;
            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 20);
        }

        Assert.InRange(best, TimeSpan.Zero, s_limit);
    }

    /// <summary>
    /// No contract has a dictionary (<see cref="ContractTests"/>), so keys that collide can only do harm where the receiver makes one of what came. It does of biases: these tokens all fall into one
    /// bucket of .NET's dictionary at the sizes it grows to.
    /// </summary>
    [Trait("Attack", "B8")]
    [Fact]
    public void Biases_OfTokensThatCollide_AreRefusedFastAndSmall()
    {
        int[] tokens = [.. Enumerable.Range(0, 50_000).Select(i => (int)((i - 25_000L) * 75_431))];
        byte[] bytes = Wire.Encode(SamplingSettings.From(new SamplingParameters()) with { BiasedTokens = tokens, Biases = new float[tokens.Length] });
        TimeSpan best = TimeSpan.MaxValue;
        for (int i = 0; i < 3; i++)
        {
            TimeSpan start = ThreadTime.Now;
            SamplingParameters parameters = Wire.Decode<SamplingSettings>(bytes.AsMemory()).ToParameters();
            TimeSpan taken = ThreadTime.Now - start;
            best = taken < best ? taken : best;
            Assert.Contains(parameters.Validate(), problem => problem.Contains("at most 1024 are allowed", StringComparison.Ordinal));
        }

        Assert.InRange(best, TimeSpan.Zero, s_limit);
    }
}
