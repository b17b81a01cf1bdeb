using Akka.Actor;
using Akka.Actor.Setup;
using Akka.Dispatch;
using Akka.Event;

namespace Lamina.Cluster.Cells;

/// <summary>Carries the sink into the actor system.</summary>
internal sealed class CellLogSetup(CellLog sink) : Setup
{
    public CellLog Sink => sink;
}

/// <summary>Hands Akka's log events to the host's sink.</summary>
internal sealed class CellLogger : ReceiveActor, IRequiresMessageQueue<ILoggerMessageQueueSemantics>
{
    public CellLogger()
    {
        CellLog? sink = Context.System.Settings.Setup.Get<CellLogSetup>().Value?.Sink;
        Receive<InitializeLogger>(_ => Sender.Tell(new LoggerInitialized()));
        Receive<LogEvent>(e => sink?.Invoke(e.LogLevel(), e.LogSource, e.Message?.ToString() ?? "", e.Cause));
    }
}

/// <summary>In place of Akka's console logger, which speaks before the loggers start and after they stop: standard output belongs to the command line.</summary>
internal sealed class SilentLogger : MinimalLogger
{
    protected override void Log(object message)
    {
    }
}
