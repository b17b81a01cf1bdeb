using Lamina.Cluster.Links;
using Lamina.Cluster.Tests.Support;
using Lamina.TestSupport;

namespace Lamina.Cluster.Tests.Links;

/// <summary>Somebody on the wire alters, repeats or cuts what passes: the link closes, and nothing that was not sent is ever delivered.</summary>
public sealed class LinkTamperingTests
{
    [Trait("Attack", "H4")]
    [Theory]
    [InlineData("FlipBit")]
    [InlineData("DropByte")]
    [InlineData("InsertByte")]
    [InlineData("RepeatBytes")]
    [InlineData("Cut")]
    public async Task Bytes_TamperedWith_CloseTheLinkAndDeliverNothingElse(string deed)
    {
        // In the handshake, in a record's header, and at many places within records.
        int[] places = [3, 200, 900, 2500, 4000, .. Enumerable.Range(1, AttackScale.Cases(6, 60)).Select(i => 5000 + (i * 7919 % 60_000))];
        foreach (int at in places)
        {
            await using var pair = new LinkPair();
            using var proxy = new TamperingProxy(pair.Listener.Endpoint, Enum.Parse<Tampering>(deed), at);
            var sent = new List<byte[]>();
            try
            {
                using Link link = await LinkDialler.DialAsync(proxy.Endpoint, "b", LinkPair.HelloOf("a"), pair.Options, pair.Cell.Node("a"), default);
                var mine = new RecordingHandler();
                link.Start(mine);
                for (int i = 0; i < 400 && link.IsOpen; i++)
                {
                    byte[] payload = [.. Enumerable.Range(0, 600).Select(n => (byte)(n + i))];
                    sent.Add(payload);
                    link.Send(FrameKind.Step, 1, i, payload, []);
                }

                await mine.Closed;
                await pair.Handler.Closed;
            }
            catch (LinkClosedException)
            {
            }

            int delivered = pair.Handler.Count;
            Assert.InRange(delivered, 0, sent.Count);
            for (int i = 0; i < delivered; i++)
            {
                Frame frame = pair.Handler.Take();
                Assert.Equal((FrameKind.Step, i), (frame.Kind, frame.Step));
                Assert.Equal(sent[i], frame.Payload);
            }
        }
    }
}
