# SPDX-License-Identifier: Apache-2.0
"""The table of the hostile stages. It drives the tests and docs/hostile_stages.md."""

from __future__ import annotations

from hostile.case import Case, Group, Promise

ANSWERED, REPLACED, FAILED, DIED, ALL_FAILED, NEVER, REFUSED = Promise
SHORT = {'startup_timeout': 8.0}
LONG_ITEMS = {'task_timeout': 30.0}  # s: silence is noticed long before

PROCESS_STATE = Group(
    'process',
    (
        Case('signals:IgnoresSigterm', source='dask/distributed#1303'),
        Case('signals:RaisesOnSigterm'),
        Case('signals:IgnoresSigchld'),
        Case('signals:BlocksAllSignals', source='Bogdanp/dramatiq#465'),
        Case('signals:SetsWakeupFd'),
        Case('signals:EnablesFaulthandler'),
        Case('process_state:LeavesItsFolder', source='scalableminds/webknossos-libs#994'),
        Case('process_state:ClearsEnvironment'),
        Case('process_state:ChangesEnvironment'),
        Case('process_state:ChangesUmask'),
        Case('process_state:ReplacesStdout', log='and to the log', source='celery/celery#928'),
        Case('process_state:ClosesStdout', log='to the log'),
        Case('process_state:ClosesStandardStreams'),
        Case('process_state:UsesUpDescriptors'),
        Case('process_state:SetsLocale'),
        Case('process_state:RenamesItself', source='ray-project/ray#26118'),
        Case('process_state:LowersItsPriority'),
    ),
    'The process and its signals',
)

EXITS = Group(
    'exits',
    (
        Case('exits:HangsAtExit'),
        Case('exits:RaisesAtExit'),
        Case('exits:RaisesInDel'),
        Case('exits:HangsInFinalizer'),
        Case('exits:LeavesThread', source='dask/distributed#8644'),
        Case('exits:LeavesDaemonThreads', log='ZeroDivisionError'),
        Case('exits:ReplacesExcepthooks'),
        Case('hooks:SleepsInDeactivate'),
        Case('hooks:SleepsInCleanup', source='dask/distributed#1303'),
        Case('hooks:FailsInDeactivate'),
        Case('hooks:FailsInCleanup'),
        Case('hooks:ExitsInCleanup'),
        Case('hooks:DoesNotCallSuper'),
        Case('hooks:SharesList'),
        Case('hooks:IsSingleton'),
        Case('hooks:HasStaticProcess'),
        Case('hooks:HasClassProcess'),
        Case('hooks:AnswersEverything'),
    ),
    'Exits, hooks and threads',
    {'shutdown_timeout': 1.0},
)

INTERPRETER = Group(
    'interpreter',
    (
        Case('interpreter:LowersRecursionLimit'),
        Case('interpreter:ClearsSysPath'),
        Case('interpreter:ForgetsModules'),
        Case('interpreter:FreezesGarbage'),
        Case('interpreter:SeedsRandom'),
        Case('interpreter:Traces'),
        Case('interpreter:StopsTheClock', source='spulec/freezegun#384'),
        Case('interpreter:PatchesBuiltins'),
        Case('signals:CountsInHandler'),
        Case('interpreter:LogsAtAllSeverities', log='at level 50', source='ros2/rclpy#1199'),
        Case('interpreter:LogsBadFormat', log='a lone surrogate'),
        Case('interpreter:LogsHugely', log='xxxxxxxx'),
        Case('interpreter:PrintsWithoutNewline'),
        Case('libraries:OpensDeviceAtImport', source='pytorch/pytorch#68861'),
        Case('libraries:UsesCv2Threads', source='opencv/opencv#5150'),
        Case('onnx_at_import:LoadsModelAtImport', source='microsoft/onnxruntime#31961'),
    ),
    'The interpreter, logging and libraries',
)

ERRORS = Group(
    'errors',
    (
        Case('exits:CallsSysExit', FAILED, 'SystemExit: no camera'),
        Case('exits:RaisesCancelledError', FAILED, 'CancelledError: by a timeout'),
        Case('exits:RaisesKeyboardInterrupt', FAILED, 'KeyboardInterrupt'),
        Case('exits:RaisesGeneratorExit', FAILED, 'GeneratorExit: at the end'),
        Case('exits:RaisesBaseException', FAILED, 'CameraGone: unplugged'),
        Case(
            'signals:LimitsItselfByAlarm',
            FAILED,
            'TimeoutError: too slow',
            source='celery/celery#3878',
        ),
        Case('process_state:ReadsStdin', FAILED, 'has no standard'),
        Case(
            'interpreter:RecursesWithoutEnd', FAILED, 'RecursionError', source='celery/celery#4411'
        ),
        Case('interpreter:ReloadsMessages', FAILED, 'another class of the same name'),
        Case('interpreter:RaisesOnWarnings', FAILED, 'FloatingPointError: divide by zero'),
        Case('interpreter:RaisesOpaqueException', FAILED, 'OpaqueError: words'),
        Case('interpreter:RaisesBadException', FAILED, 'BadText', source='celery/celery#6990'),
        Case(
            'interpreter:ReconfiguresLogging',
            FAILED,
            'ValueError: after dictConfig',
            log='process() failed',
        ),
        Case('interpreter:RaisesHugeText', FAILED, 'ValueError: xxxx'),
        Case('interpreter:RaisesChain', FAILED, 'ValueError: the cause of itself'),
        Case('interpreter:RaisesStopIteration', FAILED, 'StopIteration'),
        Case(
            'interpreter:NeedsTooMuchMemory', FAILED, 'MemoryError', source='dask/distributed#2297'
        ),
        Case('interpreter:CallsBreakpoint', FAILED, 'breakpoint() needs a terminal'),
        Case('ros_stages:EndsStream', FAILED, 'EndOfStream'),
        Case('libraries:RaisesCv2Error', FAILED, 'error: '),
        Case('libraries:ShowsWindow', FAILED, 'error: '),
    ),
    'Exceptions',
)

OUTPUTS = Group(
    'outputs',
    (
        Case('outputs:ReturnsGenerator', FAILED, 'process() returned generator'),
        Case('outputs:ReturnsCoroutine', FAILED, 'process() returned coroutine'),
        Case('outputs:ReturnsList', FAILED, 'process() returned list'),
        Case('outputs:ReturnsTuple', FAILED, 'process() returned tuple'),
        Case('outputs:ReturnsDict', FAILED, 'process() returned dict'),
        Case('outputs:ReturnsBool', FAILED, 'process() returned bool'),
        Case('outputs:ReturnsArray', FAILED, 'process() returned ndarray'),
        Case('outputs:ReturnsOtherMessage', FAILED, 'process() returned Image'),
        Case('outputs:ReturnsClass', FAILED, 'process() returned the class Header'),
        Case('outputs:SetsWrongField', FAILED, 'frame_id: found int; allowed: a text'),
        Case('outputs:SetsIntegerInFloat', reader='outputs:ReadsLatitude'),
        Case('outputs:ReturnsItsItem'),
        Case('outputs:ReturnsSameObject'),
        Case('outputs:KeepsItems'),
        Case('outputs:ReturnsHugeText', reader='outputs:Measures'),
    ),
    'Outputs',
)

IMAGES = Group(
    'images',
    (
        Case('outputs:HostileImages', reader='outputs:MeasuresImages'),
        Case('outputs:EditsImage', FAILED, 'ValueError: ', input='hostile_images'),
        Case('outputs:KeepsImages', input='hostile_images'),
        Case('outputs:ReturnsItsImage', input='hostile_images', reader='outputs:MeasuresImages'),
        Case('outputs:ReusesImage', reader='outputs:MeasuresImages'),
        Case(
            'outputs:MakesHugeImage',
            reader='outputs:MeasuresImages',
        ),
        Case('outputs:MisshapesImage', FAILED, 'AttributeError', reader='outputs:MeasuresImages'),
    ),
    'Images',
)

ROS = Group(
    'ros',
    (
        Case('ros_stages:HasNode'),
        Case('ros_stages:HasNodeInThread'),
        Case('ros_stages:SpinsInProcess', source='ros2/rclpy#1018'),
        Case(
            'ros_stages:AsksItsWorker',
            source='ros2/rclpy#567',
            settings={'params': {'name': 'asks_its_worker'}},
        ),
        Case('ros_stages:ChangesItsParams'),
        Case('ros_stages:PublishesInThread'),
        Case('ros_stages:RunsAsyncio'),
        Case('ros_stages:LeavesEventLoop'),
        Case('ros_stages:MisreadsContext', FAILED, "KeyError: 'odometry'"),
    ),
    'ROS and asyncio',
)

CHILDREN = Group(
    'children',
    (
        Case('children:LeavesSubprocess', source='ray-project/ray#11108'),
        Case('signals:SignalsItsGroup', DIED, 'killed by SIGTERM'),
        Case('children:LeavesShellJob', source='ros2/launch#545'),
        Case('children:LeavesSession'),
        Case('children:LeavesDaemon', source='ray-project/ray#34125'),
        Case(
            'children:LeavesChildrenWhenItDies',
            DIED,
            'killed by SIGABRT',
            source='ray-project/ray#42861',
        ),
        Case('children:ForksInProcess', source='ray-project/ray#40189'),
        Case('children:ForksInConfigure'),
        Case('children:ForksAndExits'),
        Case('children:LeavesProcessPool', source='celery/celery#1709'),
        Case('children:LeavesPool', source='celery/celery#4525'),
        Case('children:LeavesManager', source='joblib/loky#369'),
        Case('children:SpawnsProcess'),
        Case('children:UsesForkserver'),
        Case('children:ReapsAllChildren'),
        Case('busy_at_import:DoesAllAtImport'),
    ),
    'Child processes',
)

DEATHS = Group(
    'deaths',
    (
        Case('signals:TerminatesItself', DIED, 'killed by SIGTERM'),
        Case('signals:SegfaultsItself', DIED, 'killed by SIGSEGV', source='celery/billiard#322'),
        Case('signals:ReadsNull', DIED, 'killed by SIGSEGV', source='Bogdanp/dramatiq#505'),
        Case('signals:RaisesSigfpe', DIED, 'killed by SIGFPE'),
        Case('signals:DumpsTracebackLater', DIED, 'Timeout (0:00:00.3'),
        Case('signals:Aborts', DIED, 'killed by SIGABRT', source='celery/celery#7324'),
        Case('signals:StopsItself', DIED, 'no heartbeat for', settings=LONG_ITEMS),
        Case(
            'signals:HoldsTheGil',
            DIED,
            'no heartbeat for',
            source='dask/distributed#8537',
            settings=LONG_ITEMS,
        ),
        Case('exits:ExitsWithZero', DIED, 'exit code 0', source='Bogdanp/dramatiq#376'),
        Case('hooks:SleepsInProcess', DIED, 'an item took longer than'),
        Case(
            'ros_stages:WaitsForService', DIED, 'an item took longer than', source='ros2/rclpy#567'
        ),
        Case('ros_stages:ShutsRclpyDown', DIED, 'rclpy was shut down', source='ros2/rclpy#944'),
        Case('exits:KeepsLock', REPLACED),
        Case('signals:ForgetsItsAlarm', REPLACED, log='TimeoutError: too slow'),
    ),
    'Deaths',
    {'heartbeat_timeout': 4.0},
    stage_settings={'task_timeout': 4.0},
)

STARTS = Group(
    'starts',
    (
        Case('hooks:SleepsInConfigure', NEVER, 'not ready within', settings=SHORT),
        Case('hooks:SleepsInActivate', NEVER, 'activating for', settings=SHORT),
        Case('hooks:FailsInConfigure', NEVER, 'FileNotFoundError: no model.onnx'),
        Case('hooks:FailsInActivate', NEVER, 'OSError: no camera'),
        Case('hooks:FailsInInit', NEVER, 'FileNotFoundError: no labels.txt'),
        Case('exits:CallsSysExitInConfigure', NEVER, 'SystemExit: no camera'),
        Case('hooks:HidesAttributes', NEVER, 'AttributeError'),
        Case('hooks:SavesDefaultDict', NEVER, 'json would restore as dict'),
        Case('hooks:SavesWrongState', NEVER, 'save_state'),
        Case('ros_stages:HasContext', NEVER, 'RCLError: error creating node'),
        Case('ros_stages:InitsRclpy', NEVER, 'Context.init() must only be called once'),
        Case('process_state:MayNotWrite', NEVER, 'File too large'),
        Case('hooks:RaisesInSaveState', FAILED, 'ValueError: cannot save two'),
    ),
    'Starts that fail',
    {'shutdown_timeout': 1.0, 'restart_backoff_max': 10.0},
)

PIPELINES = (
    PROCESS_STATE,
    EXITS,
    INTERPRETER,
    ERRORS,
    OUTPUTS,
    IMAGES,
    ROS,
    CHILDREN,
    DEATHS,
    STARTS,
)

REFUSALS = tuple(
    Case(plugin, REFUSED, cause)
    for plugin, cause in {
        'refused:HasNoTypes': 'input_type of hostile.refused:HasNoTypes: found None',
        'refused:NamesItsTypes': "found 'std_msgs/msg/Header'; allowed: a ROS message class",
        'refused:TakesNoMessage': "found <class 'int'>; allowed: a ROS message class",
        'refused:TakesHeaderless': 'is std_msgs/msg/String; allowed: std_msgs/msg/Header',
        'refused:HasNoProcess': 'HasNoProcess does not define process(self, item); did you mean',
        'refused:HasAsyncProcess': 'process() of HasAsyncProcess is a coroutine function',
        'refused:YieldsFromProcess': 'process() of YieldsFromProcess is a generator function',
        'refused:TakesNoItem': 'is called with the item alone; found process(self)',
        'refused:TakesTwoItems': 'alone; found process(self, image, odometry)',
        'refused:NeedsArguments': 'is created without arguments; found NeedsArguments(camera)',
        'refused:IsAbstract': 'IsAbstract is abstract: it does not define detect',
        'refused:HasProcessAttribute': 'process of HasProcessAttribute: found None',
        'refused:SavesWithoutRestoring': 'found save_state without restore_state',
        'refused:HasLifecycleHooks': 'called without arguments; found configure(self, state)',
        'refused:HasAsyncHook': 'activate() of HasAsyncHook is a coroutine function',
        'refused:BindsPort': 'an own method needs another name; found bind(self, port=0)',
        'refused:HasListOfParameters': 'parameters of hostile.refused:HasListOfParameters',
        'refused:INSTANCE': 'allowed: a subclass of worker_pipeline.Stage',
        'refused:function': 'allowed: a subclass of worker_pipeline.Stage',
        'exits_at_import:Stage': 'SystemExit',
        'inits_at_import:InitsRclpyAtImport': 'importing it calls rclpy.init()',
        'hangs_at_import:Stage': 'took longer than startup_timeout',
        'crashes_at_import:Stage': 'killed by SIGABRT',
    }.items()
)

CASES = (*(case for group in PIPELINES for case in group.cases), *REFUSALS)
