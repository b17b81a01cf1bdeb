using System.Text;
using Lamina.Coordinator.Api.Responses;
using Lamina.Coordinator.Api.Resumption;
using Microsoft.AspNetCore.Http;

namespace Lamina.Coordinator.Tests.Api;

/// <summary>What a watcher of a hidden stream sees: sizes out of few, at whole intervals.</summary>
[Trait("Attack", "E5")]
public class PacedBodyTests
{
    [Fact]
    public async Task Stream_Padded_LeavesInWholeBucketsAndReadsTheSame()
    {
        var context = new DefaultHttpContext();
        var body = new WriteSizes();
        context.Response.Body = body;
        NumberedEvent[] events = [.. Enumerable.Range(1, 40).Select(i => new NumberedEvent(i, Encoding.UTF8.GetBytes($"\"{new string('x', i * 7)}\"")))];
        await SseWriter.WriteAsync(context, events.ToAsyncEnumerable(), shape: new StreamOptions { PadToBytes = 256, IntervalMilliseconds = 5 });
        Assert.NotEmpty(body.Sizes);
        Assert.All(body.Sizes, size => Assert.Equal(0, size % 256));
        string[] data = [.. Encoding.UTF8.GetString(body.ToArray()).Split('\n').Where(line => line.StartsWith("data: ", StringComparison.Ordinal)).Select(line => line[6..])];
        Assert.Equal([.. events.Select(e => Encoding.UTF8.GetString(e.Json)), "[DONE]"], data);
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(256, 0)]
    [InlineData(1, 255)]
    [InlineData(254, 2)]
    [InlineData(255, 257)]
    public void Padding_OfAnyLength_MakesAWholeBucketOfAComment(int length, int expected)
    {
        byte[] padding = PacedBody.Padding(length, 256);
        Assert.Equal(expected, padding.Length);
        Assert.True(expected == 0 || (padding[0] == ':' && padding[^1] == '\n'));
    }

    [Theory]
    [InlineData(0, 50)]
    [InlineData(1, 49)]
    [InlineData(49, 1)]
    [InlineData(50, 50)]
    [InlineData(120, 30)]
    public void Tick_AtAnyTime_IsTheNextWholeInterval(int since, int expected) =>
        Assert.Equal(TimeSpan.FromMilliseconds(expected), PacedBody.UntilTick(TimeSpan.FromMilliseconds(since), TimeSpan.FromMilliseconds(50)));

    private sealed class WriteSizes : MemoryStream
    {
        public List<int> Sizes { get; } = [];

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            Sizes.Add(buffer.Length);
            return base.WriteAsync(buffer, cancellationToken);
        }
    }
}
