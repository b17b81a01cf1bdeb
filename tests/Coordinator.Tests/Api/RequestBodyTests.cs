using Lamina.Cluster.Messages;
using Lamina.Coordinator.Api;
using Lamina.Coordinator.Quotas;
using Microsoft.AspNetCore.Http;

namespace Lamina.Coordinator.Tests.Api;

/// <summary>What a body may take before it is parsed.</summary>
[Trait("Attack", "D6")]
public class RequestBodyTests
{
    private const int Largest = ApiLimits.MaxBodyBytes;

    private static readonly TenantId s_acme = new("acme");
    private static readonly TenantId s_globex = new("globex");

    /// <summary>A header costs its sender nothing, so it makes room for nothing: what a hundred of them take is worked out from the bytes that came.</summary>
    [Fact]
    public void Body_ThatIsAnnouncedAndDoesNotCome_TakesAsMuchAsCame()
    {
        var budget = new BodyBudget();
        var waiting = new List<Task<RequestBody>>();
        RequestBody.ReadAsync(Request(new Dripping([1]), Largest), budget, s_acme);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 100; i++)
        {
            waiting.Add(RequestBody.ReadAsync(Request(new Dripping([new byte[1000]]), Largest), budget, s_acme));
        }

        long each = (GC.GetAllocatedBytesForCurrentThread() - before) / 100;
        Assert.All(waiting, one => Assert.False(one.IsCompleted));
        Assert.True(each < 32 << 10, $"a body that announces {Largest} bytes and sends 1,000 takes {each}");
        Assert.Equal(0, budget.Used);
    }

    [Theory]
    [InlineData(0, true)]
    [InlineData(1, true)]
    [InlineData(5000, true)]
    [InlineData(5000, false)]
    [InlineData(100_000, true)]
    [InlineData(100_000, false)]
    [InlineData(Largest, true)]
    [InlineData(Largest, false)]
    public async Task Body_OfAnyLength_IsReadWholeAndHoldsItsLengthUntilItIsParsed(int length, bool announced)
    {
        byte[] sent = [.. Enumerable.Range(0, length).Select(i => (byte)(i * 31 >> 3))];
        var budget = new BodyBudget();
        using (RequestBody body = await RequestBody.ReadAsync(Request(new Dripping([.. sent.Chunk(7001)], ends: true), announced ? length : null), budget, s_acme))
        {
            Assert.True(body.Bytes.Span.SequenceEqual(sent));
            Assert.Equal(Math.Max(0, length - BodyBudget.Uncounted), budget.Used);
        }

        Assert.Equal(0, budget.Used);
    }

    [Fact]
    public async Task Body_LongerThanAllowedWithoutSayingSo_IsRefusedAndGivesItsRoomBack()
    {
        var budget = new BodyBudget();
        ApiException refused = await Assert.ThrowsAsync<ApiException>(() => RequestBody.ReadAsync(Request(new Dripping([new byte[Largest + 1]], ends: true), null), budget, s_acme));
        Assert.Equal((413, 0L), (refused.Error.Status, budget.Used));
    }

    /// <summary>A tenant's large bodies fill its own part, then what there is for all; small ones are read beside them.</summary>
    [Fact]
    public async Task Bodies_BeyondTheBudgets_AreRefusedByWhoseItIs()
    {
        // Room for two large bodies of a tenant, and for three in all.
        var budget = new BodyBudget(3L * Largest, 2L * Largest);
        var read = new List<RequestBody>();
        async Task<int> ReadAsync(TenantId tenant, int length)
        {
            try
            {
                read.Add(await RequestBody.ReadAsync(Request(new Dripping([new byte[length]], ends: true), length), budget, tenant));
                return 200;
            }
            catch (ApiException e)
            {
                Assert.Equal((2, "overloaded"), (e.Error.RetryAfterSeconds, e.Error.Code));
                return e.Error.Status;
            }
        }

        Assert.Equal(new[] { 200, 200, 429 }, new[] { await ReadAsync(s_acme, Largest), await ReadAsync(s_acme, Largest), await ReadAsync(s_acme, Largest) });
        Assert.Equal(new[] { 200, 503 }, new[] { await ReadAsync(s_globex, Largest), await ReadAsync(s_globex, Largest) });
        Assert.Equal(new[] { 200, 200 }, new[] { await ReadAsync(s_acme, BodyBudget.Uncounted), await ReadAsync(s_globex, BodyBudget.Uncounted) });
        read[0].Dispose();
        read[0].Dispose();
        Assert.Equal(new[] { 200, 503 }, new[] { await ReadAsync(s_acme, Largest), await ReadAsync(s_globex, Largest) });
        read.ForEach(body => body.Dispose());
        Assert.Equal(0, budget.Used);
    }

    private static HttpRequest Request(Stream body, long? length)
    {
        HttpRequest request = new DefaultHttpContext().Request;
        request.ContentType = "application/json";
        request.ContentLength = length;
        request.Body = body;
        return request;
    }

    /// <summary>Brings its parts one by one, and then nothing more: the end, or a wait without one.</summary>
    private sealed class Dripping(byte[][] parts, bool ends = false) : MemoryStream
    {
        private int _part;
        private int _at;

        public Dripping(byte[] part)
            : this([part])
        {
        }

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (_part == parts.Length)
            {
                if (!ends)
                {
                    await Task.Delay(Timeout.Infinite, cancellationToken);
                }

                return 0;
            }

            int count = Math.Min(buffer.Length, parts[_part].Length - _at);
            parts[_part].AsSpan(_at, count).CopyTo(buffer.Span);
            _at += count;
            if (_at == parts[_part].Length)
            {
                (_part, _at) = (_part + 1, 0);
            }

            return count;
        }
    }
}
