using System.Buffers.Binary;
using Lamina.Cluster.Links;
using Lamina.TestSupport;

namespace Lamina.EndToEnd.Tests.Security;

/// <summary>On the links of a pipeline, where a stage must take what its neighbour sends.</summary>
public sealed partial class HostilePeerTests
{
    /// <summary>
    /// A node's neighbour in the pipeline, whose frames it must take, sends what no plan contains: each ends the pipeline, which stands again under a new epoch, and the generation in between goes on to
    /// the same words, unless the machine was too slow for it to wait. Frames of other epochs are dropped without harm.
    /// </summary>
    [Trait("Attack", "B1")]
    [Trait("Attack", "B9")]
    [Fact]
    public async Task Stage_FramesThatItsNeighbourAlters_AreDroppedOrEndThePipelineAndTheAnswerStaysTheSame()
    {
        Dictionary<string, long>? memory = null;
        (string Name, bool Ends, Func<byte[], byte[][]> Alter)[] attacks =
        [
            ("an older epoch's twin", false, step => [With(step, 8, Epoch(step) - 1), step]),
            ("rows beyond the plan", true, step => [With(step, 20, int.MaxValue)]),
            ("the step a second time", true, step => [step, step]),
            ("a later epoch's twin", false, step => [With(step, 8, Epoch(step) + 1), step]),
            ("a step that is not the next", true, step => [With(step, 12, BinaryPrimitives.ReadInt32LittleEndian(step.AsSpan(12)) + 1)]),
            ("more operations than bytes", true, step => [With(step, 16, -1)]),
            ("rows of another width", true, step => [With(step, 24, 1)]),
            ("reserved bits", true, step => [With(step, 28, 1)]),
            ("no payload", true, step => [HostilePeer.Frame((int)FrameKind.Step, default, Epoch(step), 1)]),
            ("half a payload", true, step => [HostilePeer.Frame((int)FrameKind.Step, step.AsSpan(16, (step.Length - 16) / 2), Epoch(step), BinaryPrimitives.ReadInt32LittleEndian(step.AsSpan(12)))]),
            ("four gigabytes", true, step => [With(step, 0, -1)]),
            ("the tail's frame", true, step => [With(step, 4, (int)FrameKind.Sampled)]),
            ("a coordinator's frame", true, step => [With(step, 4, (int)FrameKind.Submit)]),
            ("an unknown kind", true, step => [With(step, 4, 99)]),
            ("flags", true, step => [With(step, 4, (int)FrameKind.Step | (1 << 8))]),
            ("a second hello", true, step => [HostilePeer.Hello(Blobs), step]),
            ("credit below nothing", true, step => [HostilePeer.Frame((int)FrameKind.Credit, step: -1), step]),
            ("credit without end", true, step => [HostilePeer.Frame((int)FrameKind.Credit, step: int.MaxValue), step]),
            ("a goodbye", true, step => [HostilePeer.Frame((int)FrameKind.Close, "mallory\n\u001b[31m"u8), step]),
        ];
        foreach ((string name, bool ends, Func<byte[], byte[][]> alter) in attacks.Take(AttackScale.Cases(3, attacks.Length)))
        {
            CellStatus status = await cell.WaitAsync(status => status.Phase == "Ready", "ready");
            AttackedCell.Member tail = cell.Members.Single(member => member.Name == status.Stages[^1]);
            memory ??= cell.Memory();
            long stale = await AttackedCell.CountAsync(tail, "lamina_node_stage_stale_frames_total");
            int done = 0;
            tail.Proxy!.Interference = (purpose, frame) =>
                purpose == LinkPurpose.Activations && frame[4] == (byte)FrameKind.Step && (ends ? Interlocked.Exchange(ref done, 1) == 0 : Interlocked.Increment(ref done) > 0) ? alter(frame) : null;
            await cell.AssertAnswersOrSaysNotReadyAsync();
            tail.Proxy.Interference = null;
            Assert.True(done > 0, $"{name}: no step came by");
            if (ends)
            {
                CellStatus after = await cell.WaitAsync(now => now.Phase == "Ready" && now.Epoch > status.Epoch, $"replanned after {name}");
                output.WriteLine($"{name}: epoch {status.Epoch} ended, {after.Epoch} serves");
            }
            else
            {
                Assert.Equal(status.Epoch, (await cell.StatusAsync()).Epoch);
                Assert.Equal(stale + done, await AttackedCell.CountAsync(tail, "lamina_node_stage_stale_frames_total"));
                output.WriteLine($"{name}: {done} dropped");
            }

            await cell.AssertUnharmedAsync(memory, output);
        }
    }

    private static byte[] With(byte[] frame, int offset, int value)
    {
        byte[] altered = [.. frame];
        BinaryPrimitives.WriteInt32LittleEndian(altered.AsSpan(offset), value);
        return altered;
    }

    private static int Epoch(byte[] frame) => BinaryPrimitives.ReadInt32LittleEndian(frame.AsSpan(8));
}
