using System.Buffers;
using System.Diagnostics;
using Lamina.Cluster.Messages;
using Lamina.Node.Pipeline;
using Lamina.Node.Tests.Support;
using MessagePack;

namespace Lamina.Node.Tests.Pipeline;

/// <summary>The caller's span travels in messages that builds one step apart still understand.</summary>
public class TraceContextTests
{
    private const string Parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    [Fact]
    public void Submit_OfABuildWithoutTracing_IsRead()
    {
        GenerationProtocol.Submit sent = Generations.Request(Generations.Prompt(1, 4), 8, Generations.Greedy) with { TraceParent = Parent };

        // Its own last member, and the one that came after it.
        Assert.Null(Wire.Decode<GenerationProtocol.Submit>(Resized(Wire.Encode(sent), -2).AsMemory()).TraceParent);
        Assert.Null(SamplingWire.Read(Resized(SamplingWire.Write(TailSettings.Of(sent)), -1)).TraceParent);
    }

    /// <summary>What that build does with the member it does not know: the same as this one with a member yet to come.</summary>
    [Fact]
    public void Message_WithAMemberMore_IsRead()
    {
        GenerationProtocol.Submit sent = Generations.Request(Generations.Prompt(1, 4), 8, Generations.Greedy) with { TraceParent = Parent };

        Assert.Equal(Parent, Wire.Decode<GenerationProtocol.Submit>(Resized(Wire.Encode(sent), 1).AsMemory()).TraceParent);
        Assert.Equal(Parent, SamplingWire.Read(Resized(SamplingWire.Write(TailSettings.Of(sent)), 1)).TraceParent);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("00-00000000000000000000000000000000-0000000000000000-01")]
    [InlineData("not a span")]
    public void Head_OfAParentThatIsNone_StartsNoSpan(string? parent)
    {
        using ActivityListener listener = Listen();
        Assert.Null(NodeTrace.StartHead(Generations.Request(Generations.Prompt(1, 4), 8, Generations.Greedy) with { TraceParent = parent }));
    }

    [Fact]
    public void Head_OfATracedCaller_IsItsChildAndNobodysCurrentSpan()
    {
        using ActivityListener listener = Listen();
        Activity span = NodeTrace.StartHead(Generations.Request(Generations.Prompt(1, 4), 8, Generations.Greedy) with { TraceParent = Parent })!;
        Assert.Equal(("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"), (span.TraceId.ToHexString(), span.ParentSpanId.ToHexString()));
        Assert.Null(Activity.Current);
        NodeTrace.Stop(span);
    }

    private static ActivityListener Listen()
    {
        var listener = new ActivityListener { ShouldListenTo = source => source.Name == NodeTrace.SourceName, Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData };
        ActivitySource.AddActivityListener(listener);
        return listener;
    }

    /// <summary>An encoded record with one member less or more.</summary>
    private static byte[] Resized(byte[] encoded, int change)
    {
        var reader = new MessagePackReader(encoded);
        int members = reader.ReadArrayHeader();
        var buffer = new ArrayBufferWriter<byte>();
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(members + change);
        for (int i = 0; i < members + Math.Min(change, 0); i++)
        {
            writer.WriteRaw(reader.ReadRaw());
        }

        if (change > 0)
        {
            writer.Write("of a later build");
        }

        writer.Flush();
        return buffer.WrittenSpan.ToArray();
    }
}
