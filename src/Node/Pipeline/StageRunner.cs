using System.Diagnostics;
using System.Runtime.InteropServices;
using Lamina.Cluster.Links;
using Lamina.Cluster.Messages;

namespace Lamina.Node.Pipeline;

/// <summary>
/// A stage behind the head: its compute thread takes steps from the inbox, runs them and sends rows on itself, or at the tail the chosen tokens to the head. Owns
/// executor and inbox.
/// </summary>
internal sealed class StageRunner : IDisposable
{
    /// <summary>More than any pipeline keeps in flight; a link's credit bounds what a peer can send well below it.</summary>
    private const int InboxCapacity = 256;

    private readonly StageExecutor _executor;
    private readonly IFrameSink _output;
    private readonly Action<Exception> _failed;
    private readonly Doorbell _doorbell = new();
    private readonly Step _step;
    private readonly NativeBuffer _rows;
    private readonly Thread _thread;
    private readonly int _width;
    private byte[] _sampled = new byte[256];
    private int _lastStep;
    private volatile bool _stopping;

    /// <param name="output">The next stage, or at the tail the head.</param>
    /// <param name="failed">Called once, on the compute thread, when the stage cannot go on.</param>
    public StageRunner(StageExecutor executor, StageSettings settings, IFrameSink output, Action<Exception> failed)
    {
        _executor = executor;
        _output = output;
        _failed = failed;
        _width = executor.Stage.Shape.EmbeddingLength;
        _step = new Step(settings.MaxBatchRows);
        _rows = new NativeBuffer(executor.Stage.IsLast ? 0 : (long)settings.MaxBatchRows * _width * sizeof(float));
        Inbox = new FrameInbox(_doorbell, InboxCapacity);
        _thread = new Thread(Run) { IsBackground = true, Name = $"stage {executor.Stage.Layers}" };
        _thread.Start();
    }

    public FrameInbox Inbox { get; }

    public StageMeter Meter { get; } = new();

    /// <summary>Stops the thread and frees everything. Links it might be sending on must have been closed before.</summary>
    public void Dispose()
    {
        _stopping = true;
        _doorbell.Ring();
        _thread.Join();
        Inbox.Dispose();
        _executor.Dispose();
        _rows.Dispose();
        _step.Clear();
    }

    private void Run()
    {
        try
        {
            while (!_stopping)
            {
                if (Inbox.TryTake(out Frame frame))
                {
                    try
                    {
                        RunStep(frame);
                    }
                    catch
                    {
                        frame.Dispose();
                        throw;
                    }

                    Inbox.Return(frame);
                }
                else
                {
                    _doorbell.Wait();
                }
            }
        }
        catch (Exception e) when (!_stopping)
        {
            _failed(e);
        }
        catch (LinkClosedException)
        {
            // Stopping closes the links first.
        }
    }

    private void RunStep(Frame frame)
    {
        ReadOnlySpan<byte> payload = frame.Payload;
        if (frame.Kind != FrameKind.Step || frame.Step != _lastStep + 1)
        {
            throw new InvalidDataException($"{frame.Kind} frame of step {frame.Step}, step {_lastStep + 1} was awaited");
        }

        _lastStep = frame.Step;
        int prologue = StepFrame.Read(payload, frame.Step, _width, _step);
        int rows = _step.Batch.RowCount;
        bool isLast = _executor.Stage.IsLast;
        Span<float> output = isLast ? [] : _rows.Floats(rows * _width);

        long start = Stopwatch.GetTimestamp();
        _executor.Execute(_step, MemoryMarshal.Cast<byte, float>(payload[prologue..]), output);
        Meter.CountStep(rows, Stopwatch.GetTimestamp() - start);

        if (isLast)
        {
            int length = SampledFrame.Write(_executor.Sampled, ref _sampled);
            try
            {
                _output.Send(FrameKind.Sampled, frame.Step, _sampled.AsSpan(0, length), []);
            }
            finally
            {
                Array.Clear(_sampled, 0, length);
            }
        }
        else
        {
            _output.Send(FrameKind.Step, frame.Step, payload[..prologue], MemoryMarshal.AsBytes(output));
        }

        // Not when the next one comes: that may be long.
        _step.Clear();
    }
}
