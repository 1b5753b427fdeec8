postMessage('worker')
